--[[
Graphs as gauges for Librato.

Reads payloads of type cbuf, and what `message_key` names. Gives JSON with a gauge for each number of
a row that has not been sent; the newest row is still open and left for later. No output when there
is nothing new.

    [librato]
    type = "SandboxEncoder"
    filename = "lua_encoders/cbuf_librato.lua"
    preserve_data = true

    [librato.config]
    message_key = "%{Logger}:%{payload_name}"
--]]

require "cjson"
require "math"

local cbufd = require "cbufd"
local interpolate = require("msg_interpolate").interpolate_from_msg

local message_key = read_config("message_key") or "%{Logger}:%{payload_name}"

-- For each graph the second of the last row that was sent.
last_sent = {}

-- The rows as cbufd has them, with their time in front; what is in front of the header goes.
local function with_times(payload)
  local header, rows = string.match(payload, "({\"time\".-)\n(.*)$")
  if not header then
    return nil
  end
  local ok, shape = pcall(cjson.decode, header)
  if not ok then
    return nil
  end
  local seconds = shape.time
  rows = string.gsub(rows, "[^\n]+", function(row)
    row = string.format("%d", seconds) .. "\t" .. row
    seconds = seconds + shape.seconds_per_row
    return row
  end)
  return shape, cbufd.grammar:match(header .. "\n" .. rows)
end

function process_message()
  local shape, rows = with_times(read_message("Payload") or "")
  if not rows then
    return -1, "no cbuf"
  end
  local key = interpolate(message_key)
  local last = last_sent[key] or 0
  local gauges = {}
  for at = 1, #rows - 1 do
    local seconds = math.floor(rows[at].time / 1e9)
    if seconds > last then
      for column, value in ipairs(rows[at]) do
        if value == value then
          gauges[#gauges + 1] = {
            name = key .. ":" .. shape.column_info[column].name,
            measure_time = seconds,
            value = value,
            source = read_message("Hostname"),
          }
        end
      end
      last_sent[key] = seconds
    end
  end
  if #gauges == 0 then
    return -2
  end
  inject_payload("json", "", cjson.encode({ gauges = gauges }))
  return 0
end
