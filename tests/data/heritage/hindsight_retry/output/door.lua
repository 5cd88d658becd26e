-- A door that only the timer opens, for two at a time: who comes meanwhile is asked to come again.
require "io"
require "string"

local fh      = assert(io.open(read_config("output_file"), "a"))
local places  = 0
local waiting = 0
local ended   = false

function process_message(sequence_id)
    if places == 0 then
        waiting = waiting + 1
        return -3, "closed"
    end
    places = places - 1
    fh:write(read_message("Payload"), waiting > 1 and " after a while" or "", "\n")
    fh:flush()
    waiting = 0
    return 0
end

function timer_event(ns, shutdown)
    assert(type(ns) == "number" and type(shutdown) == "boolean")
    if not shutdown and waiting > 1 then places = 2 end
end
