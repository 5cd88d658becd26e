-- Makes visits, once: the checkpoint is the number of the last one.
local count = read_config("count")

local msg = {
    Timestamp = nil,
    Type      = "visit",
    Hostname  = nil,
    Fields    = {
        user    = nil,
        seconds = {value = 0, value_type = 3, representation = "s"},
    }
}

function process_message(checkpoint)
    local first = 0
    if checkpoint then first = tonumber(string.match(checkpoint, "^visit (%d+)$")) + 1 end
    for i = first, count - 1 do
        if not is_running() then return 0 end
        msg.Timestamp = (1500000000 + i) * 1e9
        msg.Hostname  = "web" .. i % 2
        msg.Fields.user = "user" .. i % 50
        msg.Fields.seconds.value = i % 3 / 2
        inject_message(msg, "visit " .. i)
    end
    return 0
end
