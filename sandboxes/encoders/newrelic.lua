--[[
Messages for New Relic: metrics, logs or events of its own.

Reads Timestamp, Payload and the fields. Gives JSON without what is around it: the output puts that
there, see config/newrelic.toml.

    [newrelic]
    type = "SandboxEncoder"
    filename = "lua_encoders/newrelic.lua"

    [newrelic.config]
    kind = "metrics"             # or logs, events
    metric_prefix = "heka."      # metrics
    metric_type = "gauge"        # metrics: or count
    interval = 10                # metrics: seconds that a count is of
    fields = ""                  # metrics: which numbers, all when empty
    event_type = "%{Type}"       # events
--]]

require "cjson"
require "string"
require "table"

local interpolate = require("msg_interpolate").interpolate_from_msg
local message_fields = require "message_fields"

local kind = read_config("kind") or "metrics"
local prefix = read_config("metric_prefix") or ""
local metric_type = read_config("metric_type") or "gauge"
local interval = read_config("interval") or 10
local names = read_config("fields")

-- A value has at most 4096 bytes.
local function attributes(most)
  local found = message_fields.attributes()
  for name, value in pairs(found) do
    if type(value) == "string" then
      found[name] = message_fields.cut(value, most)
    end
  end
  return found
end

local give = {}

function give.metrics()
  local found, own = {}, attributes(4096)
  local numbers = message_fields.numbers(names)
  for _, number in ipairs(numbers) do
    own[number.name] = nil
  end
  for at, number in ipairs(numbers) do
    found[at] = cjson.encode({
      name = message_fields.cut(prefix .. number.name, 255),
      type = metric_type,
      value = number.value,
      timestamp = message_fields.milliseconds(),
      ["interval.ms"] = metric_type == "count" and interval * 1000 or nil,
      attributes = next(own) and own or nil,
    })
  end
  return table.concat(found, ",")
end

function give.logs()
  local own = attributes(4094)
  own.level = message_fields.severity()
  return cjson.encode({
    timestamp = message_fields.milliseconds(),
    message = read_message("Payload") or "",
    attributes = own,
  })
end

function give.events()
  local event = attributes(4096)
  local name = interpolate(read_config("event_type") or "%{Type}")
  -- Letters, digits, colons and underscores.
  event.eventType = message_fields.cut(string.gsub(name, "[^%w:_]", "_"), 255)
  event.timestamp = message_fields.milliseconds()
  local text = read_message("Payload")
  if text and text ~= "" then
    event.message = message_fields.cut(text, 4096)
  end
  return cjson.encode(event)
end

local write = give[kind] or error("kind is none of metrics, logs, events")

function process_message()
  local text = write()
  if text == "" then
    return -2
  end
  inject_payload("json", "", text)
  return 0
end
