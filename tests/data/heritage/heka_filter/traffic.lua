--[[
Graphs requests and bytes, and alerts when a minute has too many bytes.
--]]
_PRESERVATION_VERSION = read_config("preservation_version") or 0

require "circular_buffer"
require "string"
local alert      = require "alert"
local annotation = require "annotation"

local title       = "Traffic"
local rows        = read_config("rows") or 1440
local sec_per_row = read_config("sec_per_row") or 60
local limit       = read_config("alert_bytes")

cbuf = circular_buffer.new(rows, 3, sec_per_row)
local REQUESTS = cbuf:set_header(1, "Requests")
local BYTES    = cbuf:set_header(2, "Bytes", "B")
local LARGEST  = cbuf:set_header(3, "Largest one", "B", "max")

total   = 0
statuses = {}
local changed = false

annotation.set_prune(title, rows * sec_per_row * 1e9)

function process_message ()
    local ts    = read_message("Timestamp")
    local bytes = read_message("Fields[bytes]")
    if not cbuf:add(ts, REQUESTS, 1) then return 0 end -- outside of the buffer
    local sum = cbuf:add(ts, BYTES, bytes)
    cbuf:set(ts, LARGEST, bytes)
    total = total + 1

    local status = string.format("%d", read_message("Fields[status]"))
    statuses[status] = (statuses[status] or 0) + 1
    if limit and sum > limit then
        annotation.add(title, ts, BYTES, "B", string.format("%d bytes", sum))
        alert.queue(ts, string.format("%s: more than %d bytes", title, limit))
    end
    changed = true
    return 0
end

function timer_event(ns)
    if not changed then return end
    changed = false
    local marks = annotation.prune(title, cbuf:current_time())
    if marks then
        inject_payload("cbuf", title, marks, cbuf)
    else
        inject_payload("cbuf", title, cbuf)
    end
    add_to_payload("total ", total, "\n")
    for i, v in ipairs({"200", "404", "500"}) do
        if statuses[v] then add_to_payload(v, "\t", statuses[v], "\n") end
    end
    local value, active = cbuf:compute("avg", BYTES)
    inject_payload("txt", "totals", "average ", value, " of ", active, "\n")
    alert.send_queue(ns)
end
