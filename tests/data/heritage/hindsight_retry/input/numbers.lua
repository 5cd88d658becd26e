-- Four numbers, once.
local msg = {Type = "number", Payload = nil}

function process_message(checkpoint)
    for i = (checkpoint or 0) + 1, 4 do
        msg.Payload = i
        inject_message(msg, i)
    end
    return 0
end
