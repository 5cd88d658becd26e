-- Acknowledges every message on its own, some time after it was taken.
require "io"

local output_file = read_config("output_file")
local expensive   = create_message_matcher("Fields[price] >= 100")
local pending     = {}

local function write(line, file)
    local fh = assert(io.open(file or output_file, "a"))
    fh:write(line, "\n")
    fh:close()
end

function process_message(sequence_id)
    if read_message("Type") == "error" then
        write(read_message("Payload") .. " (" .. read_message("Fields[data]") .. ")", output_file .. ".errors")
        return -1, "an error is no order"
    end

    local framed = encode_message({Type = "copy", Payload = read_message("Payload")}, true)
    local plain  = encode_message({Type = "copy", Payload = read_message("Payload"), Pid = 5})
    local copy   = decode_message(plain)
    assert(framed:byte(1) == 0x1e and framed:byte(2) == framed:find("\31", 3, true) - 3)
    assert(copy.Pid == 5 and copy.Logger == read_config("Logger"))

    local mark = expensive:eval() and "!" or ""
    pending[#pending + 1] = {id = sequence_id, line = copy.Payload .. mark}
    return -5
end

function timer_event(ns, shutdown)
    for i, v in ipairs(pending) do
        write(v.line)
        update_checkpoint(v.id, 0)
    end
    pending = {}
end
