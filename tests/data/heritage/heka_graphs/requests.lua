--[[
Graphs requests, tells others what has changed, and alerts when something is unusual.
--]]
_PRESERVATION_VERSION = read_config("preservation_version") or 0

require "circular_buffer"
require "string"
local alert      = require "alert"
local annotation = require "annotation"
local anomaly    = require "anomaly"

local title          = read_config("title")
local rows           = read_config("rows") or 1440
local sec_per_row    = read_config("sec_per_row") or 60
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))
annotation.set_prune(title, rows * sec_per_row * 1e9)

data = circular_buffer.new(rows, 2, sec_per_row, true)
local REQUESTS = data:set_header(1, "Requests")
local LONGEST  = data:set_header(2, "Longest", "ms", "max")
local changed  = false

function process_message ()
    local ts = read_message("Timestamp")
    data:add(ts, REQUESTS, read_message("Fields[requests]"))
    data:set(ts, LONGEST, read_message("Fields[longest]"))
    changed = true
    return 0
end

function timer_event(ns)
    if not changed then return end
    changed = false

    if anomaly_config and not alert.throttled(ns) then
        local msg, annos = anomaly.detect(ns, title, data, anomaly_config)
        if msg then
            annotation.concat(title, annos)
            alert.send(ns, msg)
        end
    end
    local notes = annotation.prune(title, data:current_time())
    inject_payload("cbuf", title, notes or "", data:format("cbuf"))
    inject_payload("cbufd", "Requests", data:format("cbufd"))
end
