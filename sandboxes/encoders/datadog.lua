--[[
Messages for DataDog: points of metrics (v2), logs, events or service checks.

Reads Timestamp, Hostname, Payload, Severity and the fields. Gives JSON without what is around it: the
output puts that there. Points and logs go in batches, events one a request.

    [datadog]
    type = "SandboxEncoder"
    filename = "lua_encoders/datadog.lua"

    [datadog.config]
    kind = "series"              # or logs, events, checks
    metric_prefix = "heka."      # series: before the name of each field that is a number
    metric_type = "gauge"        # series: or count, rate
    interval = 10                # series: seconds, for count and rate
    fields = ""                  # series: which numbers, all when empty
    tags = "Logger env"          # of which parts and fields tags are made
    service = "%{Logger}"        # logs
    source = "heka"              # logs
    title = "%{Type}"            # events
    check = "%{Logger}"          # checks; the field `status` says 0 to 3, or OK, WARNING, CRITICAL
--]]

require "cjson"
require "string"
require "table"

local interpolate = require("msg_interpolate").interpolate_from_msg
local message_fields = require "message_fields"

local TYPES = { count = 1, rate = 2, gauge = 3 }
local STATES = { OK = 0, WARNING = 1, CRITICAL = 2, UNKNOWN = 3 }
local ALERTS = {
  emergency = "error", alert = "error", critical = "error", error = "error",
  warning = "warning", notice = "info", info = "info", debug = "info",
}

local kind = read_config("kind") or "series"
local tags = read_config("tags")
local metric_type = TYPES[read_config("metric_type") or "gauge"] or error("metric_type is none of count, rate, gauge")
local interval = read_config("interval")
local prefix = read_config("metric_prefix") or ""
local names = read_config("fields")

local function host()
  local name = read_message("Hostname")
  return name and name ~= "" and name or nil
end

local give = {}

function give.series()
  local found = {}
  for at, number in ipairs(message_fields.numbers(names)) do
    local point = {
      metric = prefix .. number.name,
      type = metric_type,
      interval = metric_type ~= 3 and interval or nil,
      points = { { timestamp = message_fields.seconds(), value = number.value } },
      resources = host() and { { name = host(), type = "host" } } or nil,
    }
    local own = message_fields.tags(tags)
    point.tags = #own > 0 and own or nil
    found[at] = cjson.encode(point)
  end
  return table.concat(found, ",")
end

function give.logs()
  local log = message_fields.attributes()
  log.message = read_message("Payload") or ""
  log.ddsource = interpolate(read_config("source") or "heka")
  log.ddtags = table.concat(message_fields.tags(tags), ",")
  log.service = interpolate(read_config("service") or "%{Logger}")
  log.status = message_fields.severity()
  log.timestamp = message_fields.milliseconds()
  return cjson.encode(log)
end

function give.events()
  local own = message_fields.tags(tags)
  return cjson.encode({
    title = message_fields.cut(interpolate(read_config("title") or "%{Type}"), 100),
    text = message_fields.cut(read_message("Payload") or "", 4000),
    date_happened = message_fields.seconds(),
    alert_type = ALERTS[message_fields.severity()],
    host = host(),
    tags = #own > 0 and own or nil,
  })
end

function give.checks()
  local status = read_message("Fields[status]")
  status = STATES[string.upper(tostring(status))] or tonumber(status) or 3
  local own = message_fields.tags(tags)
  -- Tags are required of a check.
  own[1] = own[1] or "source:heka"
  return cjson.encode({
    check = interpolate(read_config("check") or "%{Logger}"),
    host_name = host() or "unknown",
    status = status,
    timestamp = message_fields.seconds(),
    message = message_fields.cut(read_message("Payload") or "", 500),
    tags = #own > 0 and own or nil,
  })
end

local write = give[kind] or error("kind is none of series, logs, events, checks")

function process_message()
  local text = write()
  if text == "" then
    return -2
  end
  inject_payload("json", "", text)
  return 0
end
