-- Five numbers, once.
local msg = {Type = "number", Payload = nil, Fields = {square = {value = 0, value_type = 2}}}

function process_message(checkpoint)
    for i = (checkpoint or 0) + 1, 5 do
        msg.Payload = string.rep("x", i)
        msg.Fields.square.value = i * i
        inject_message(msg, i)
    end
    return 0
end
