-- Keeps the newest payload of each name in a file of its own.
require "io"
require "string"

local directory = read_config("directory")

function process_message()
    local name = read_message("Fields[payload_name]") or ""
    if name == "" then name = read_message("Logger") end
    name = string.gsub(name, "%W", "_") .. "." .. read_message("Fields[payload_type]")
    local fh, err = io.open(directory .. name, "wb")
    if not fh then return -1, err end
    fh:write(read_message("Payload"))
    fh:close()
    return 0
end
