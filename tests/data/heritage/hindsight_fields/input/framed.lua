-- Reads the stream that an output has written, from where it ended; the checkpoint is a number.
require "io"

function process_message(checkpoint)
    assert(checkpoint == nil or type(checkpoint) == "number")
    local fh, reader = nil, create_stream_reader(read_config("Logger"))
    local offset = checkpoint or 0
    while is_running() do
        fh = fh or io.open(read_config("input_file"), "rb")
        if fh then
            fh:seek("set", offset)
            local found, consumed, read
            repeat
                repeat
                    found, consumed, read = reader:find_message(fh)
                    offset = offset + consumed
                    if found then
                        local text = reader:read_message("Type") .. " " .. reader:read_message("Payload")
                            .. " " .. tostring(reader:read_message("Fields[integers]", 0, 2))
                            .. " " .. tostring(reader:read_message("Fields[twice]", 1, 1))
                        inject_message({Type = "found", Payload = text, Fields = {payload_type = "txt",
                            payload_name = "found_" .. reader:read_message("Payload")}}, offset)
                    end
                until not found
            until read == 0
            reader = create_stream_reader(read_config("Logger"))
        end
        if offset > 0 then return 0 end
        local ok, socket = pcall(require, "socket")
        socket.sleep(0.05)
    end
    return 0
end
