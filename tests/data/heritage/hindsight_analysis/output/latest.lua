-- Keeps the newest payload of each name, as Hindsight's own output of injected payloads does.
require "io"

local directory = read_config("directory")

function process_message()
    local name = read_message("Fields[payload_name]")
    local kind = read_message("Fields[payload_type]")
    if not name or not kind then return -2 end

    local fh, err = io.open(directory .. name .. "." .. kind, "w")
    if not fh then return -1, err end
    fh:write(read_message("Payload"))
    if read_message("Type") == "heka.sandbox.alert" then
        for i = 0, 5 do
            local recipient = read_message("Fields[recipients]", 0, i)
            if recipient then fh:write("\n", recipient) end
        end
        fh:write("\n", read_message("Fields[visits]"), " ", read_message("Severity"))
    end
    fh:close()
    return 0
end

function timer_event(ns, shutdown)
end
