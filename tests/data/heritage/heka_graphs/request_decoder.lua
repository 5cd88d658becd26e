-- Lines of seconds, host, number of requests and the longest time in ms.
require "string"
local dt = require "date_time"
local l  = require "lpeg"
l.locale(l)

local sp    = l.space
local value = l.digit^1 / tonumber
local grammar = l.Ct(
    l.Cg(l.digit^1 / dt.seconds_to_ns, "Timestamp") * sp
    * l.Cg(l.alpha^1, "Hostname") * sp
    * l.Cg(l.Ct(
        l.Cg(l.Ct(l.Cg(value, "value") * l.Cg(l.Cc"count", "representation")), "requests") * sp
        * l.Cg(l.Ct(l.Cg(value, "value") * l.Cg(l.Cc"ms", "representation")), "longest")
    ), "Fields") * l.P"\n"^-1 * -1)

function process_message ()
    local msg = grammar:match(read_message("Payload"))
    if not msg then return -1 end
    msg.Type = "requests"
    inject_message(msg)
    return 0
end
