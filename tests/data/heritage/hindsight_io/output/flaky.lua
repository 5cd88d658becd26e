-- Its destination is there at every third attempt: the message that completes a batch is asked for again.
require "io"
require "table"

local output_file = read_config("output_file")
local flush_count = read_config("flush_count")
local attempts    = 0
local batch       = {}
local retry       = false

local function send()
    attempts = attempts + 1
    if attempts % 3 ~= 0 then return false end
    local fh = assert(io.open(output_file, "a"))
    fh:write(table.concat(batch, "\n"), " at ", attempts, "\n")
    fh:close()
    batch = {}
    return true
end

function process_message(sequence_id)
    if not retry then batch[#batch + 1] = read_message("Payload") end
    if #batch < flush_count then return -4 end
    retry = not send()
    if retry then return -3, "away" end
    return 0
end

function timer_event(ns, shutdown)
end
