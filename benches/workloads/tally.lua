--[[
Counts messages and adds one of their fields up.

Reads Fields[body_bytes_sent]. Gives both sums, since the start.

    [tally]
    type = "SandboxFilter"
    filename = "tally.lua"
    message_matcher = "Type == 'access'"
    ticker_interval = 60

    [tally.config]
    name = "tally"
--]]

local name = read_config("name")
local messages = 0
local bytes = 0

function process_message()
  messages = messages + 1
  bytes = bytes + read_message("Fields[body_bytes_sent]")
  return 0
end

function timer_event(ns)
  inject_payload("txt", "total", "total ", name, " ", messages, " ", bytes, "\n")
end
