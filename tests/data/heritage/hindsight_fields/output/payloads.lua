-- Keeps the newest payload of each name.
require "io"

function process_message()
    local fh, err = io.open(read_config("directory") .. read_message("Fields[payload_name]") .. ".txt", "wb")
    if not fh then return -1, err end
    fh:write(read_message("Payload"))
    fh:close()
    return 0
end

function timer_event(ns, shutdown)
end
