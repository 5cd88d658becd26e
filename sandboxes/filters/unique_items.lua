--[[
Estimates how many different values a part of the message has in each period.

Reads Timestamp and `message_variable`. Gives a graph `title` (cbuf) every `ticker_interval`, and with
`enable_delta` what changed in it (cbufd).

    [unique_users]
    type = "SandboxFilter"
    filename = "lua_filters/unique_items.lua"
    message_matcher = "Type == 'nginx.access'"
    ticker_interval = 60
    preserve_data = true

    [unique_users.config]
    message_variable = "Fields[remote_addr]"
    title = "Estimated Unique Daily remote_addr"
    enable_delta = false
    rows = 365
    seconds_per_row = 86400
    preservation_version = 0   # another one starts with an empty graph
--]]

require "circular_buffer"
require "hyperloglog"
require "math"
require "string"

local message_variable = read_config("message_variable")
if not message_variable then
  error("unique_items needs message_variable in its config")
end
local name = string.match(message_variable, "^Fields%[(.*)%]$") or message_variable
local title = read_config("title") or "Estimated Unique Daily " .. name
local enable_delta = read_config("enable_delta") or false
local rows = read_config("rows") or 365
local seconds_per_row = read_config("seconds_per_row") or 86400

_PRESERVATION_VERSION = read_config("preservation_version") or 0

counts = circular_buffer.new(rows, 1, seconds_per_row, enable_delta)
local UNIQUE = counts:set_header(1, name)
seen = hyperloglog.new()
period = 0

function process_message()
  local item = read_message(message_variable)
  if item == nil then
    return -1
  end
  local ns = read_message("Timestamp")
  local current = math.floor(ns / (seconds_per_row * 1e9))
  if current < period then
    return 0 -- What was seen in a period that is over is not known any more.
  end
  if current > period then
    period = current
    seen:clear()
  end
  if type(item) == "boolean" then
    item = tostring(item)
  end
  if seen:add(item) then
    local before = counts:get(ns, UNIQUE)
    if not before or before ~= before then
      before = 0
    end
    -- Only what is added counts as a change.
    counts:add(ns, UNIQUE, seen:count() - before)
  end
  return 0
end

function timer_event(ns)
  inject_payload("cbuf", title, counts:format("cbuf"))
  if enable_delta then
    inject_payload("cbufd", title, counts:format("cbufd"))
  end
end
