--[[
Alerts for PagerDuty, as its Events API v2 takes them: one a request, with `batch` left out.

Reads Payload, Severity, Hostname, Logger, Timestamp and all fields. A field `event_action` (trigger,
acknowledge, resolve) says what happens, `dedup_key` which incident it belongs to.

    [pagerduty]
    type = "SandboxEncoder"
    filename = "lua_encoders/pagerduty.lua"

    [pagerduty.config]
    routing_key = "0123456789abcdef0123456789abcdef"
    dedup_key = "%{Hostname}/%{Logger}"   # where there is no field of that name
    component = "%{Type}"
    group = ""
    class = ""
    client = "Heka"
--]]

require "cjson"
require "os"

local interpolate = require("msg_interpolate").interpolate_from_msg
local message_fields = require "message_fields"

local routing_key = read_config("routing_key") or error("routing_key is missing")
local dedup_key = read_config("dedup_key") or "%{Hostname}/%{Logger}"
local client = read_config("client") or "Heka"

local LEVELS = {
  emergency = "critical", alert = "critical", critical = "critical", error = "error",
  warning = "warning", notice = "info", info = "info", debug = "info",
}

local function part(name)
  local text = read_config(name)
  if text and text ~= "" then
    return interpolate(text)
  end
  return nil
end

function process_message()
  local details = message_fields.attributes()
  local action = details.event_action or "trigger"
  local event = {
    routing_key = routing_key,
    event_action = action,
    dedup_key = message_fields.cut(tostring(details.dedup_key or interpolate(dedup_key)), 255),
    client = client,
  }
  if action == "trigger" then
    local summary = read_message("Payload") or ""
    if summary == "" then
      return -1, "an alert needs a Payload"
    end
    local host = read_message("Hostname")
    event.payload = {
      summary = message_fields.cut(summary, 1024),
      source = host and host ~= "" and host or "heka",
      severity = LEVELS[message_fields.severity()],
      timestamp = os.date("!%Y-%m-%dT%H:%M:%SZ", message_fields.seconds()),
      component = part("component"),
      group = part("group"),
      class = part("class"),
      custom_details = details,
    }
  end
  inject_payload("json", "", cjson.encode(event))
  return 0
end
