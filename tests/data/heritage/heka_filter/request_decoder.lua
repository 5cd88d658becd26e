require "string"

local msg = {Type = "request", Fields = {}}

function process_message()
    local seconds, status, bytes = string.match(read_message("Payload"), "^(%d+) (%d+) (%d+)")
    if not seconds then return -1 end
    msg.Timestamp = tonumber(seconds) * 1e9
    msg.Fields.status = tonumber(status)
    msg.Fields.bytes = {value = tonumber(bytes), value_type = 2, representation = "B"}
    inject_message(msg)
    return 0
end
