-- Writes messages as a stream.
require "io"
local fh = assert(io.open(read_config("output_file") .. ".tmp", "wb"))
local count = 0

function process_message(sequence_id)
    fh:write(read_message("framed"))
    count = count + 1
    if count == 2 then
        fh:close()
        os.rename(read_config("output_file") .. ".tmp", read_config("output_file"))
    end
    return 0
end

function timer_event(ns, shutdown)
end
