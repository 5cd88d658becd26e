--[[
Counts the classes of HTTP status per minute.

Reads Timestamp and Fields[status]. Gives a graph of a day, and how many messages it has seen.

    [status]
    type = "SandboxFilter"
    filename = "status_per_minute.lua"
    message_matcher = "Type == 'access'"
    ticker_interval = 1
--]]

require "circular_buffer"

local ROWS = 1440
local status = circular_buffer.new(ROWS, 5, 60)
for class = 1, 5 do
  status:set_header(class, "HTTP_" .. class .. "00", "count")
end
local total = 0

function process_message(msg)
  local class = math.floor(read_message("Fields[status]") / 100)
  status:add(read_message("Timestamp"), class, 1)
  total = total + 1
  return 0
end

function timer_event(ns)
  inject_payload("cbuf", "status per minute", status)
  inject_payload("txt", "total", "total status ", total, " 0\n")
end
