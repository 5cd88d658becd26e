--[[
Watches that every host is heard from.

Reads Hostname and Timestamp. Gives `heartbeat` (json) every `ticker_interval`: for each host
`last_heartbeat` and `last_alert` in milliseconds and `status`, up or down; and an alert when one has
not been heard from for `heartbeat_timeout` seconds.

    [heartbeat]
    type = "SandboxFilter"
    filename = "lua_filters/heartbeat.lua"
    message_matcher = "Type == 'heartbeat'"
    ticker_interval = 30
    preserve_data = true

    [heartbeat.config]
    heartbeat_timeout = 30     # seconds
    alert_throttle = 300       # seconds between two alerts of one host
--]]

require "cjson"
require "math"

local alert = require "alert"

local timeout = (read_config("heartbeat_timeout") or 30) * 1e9
local throttle = (read_config("alert_throttle") or 300) * 1000

hosts = {}

function process_message()
  local name = read_message("Hostname")
  if not name or name == "" then
    return -1, "no Hostname"
  end
  local host = hosts[name]
  if not host then
    host = { last_heartbeat = 0, last_alert = 0 }
    hosts[name] = host
  end
  host.last_heartbeat = math.max(host.last_heartbeat, math.floor(read_message("Timestamp") / 1e6))
  host.status = "up"
  return 0
end

function timer_event(ns)
  local now = math.floor(ns / 1e6)
  local missing = {}
  for name, host in pairs(hosts) do
    if ns - host.last_heartbeat * 1e6 > timeout then
      host.status = "down"
      if host.last_alert == 0 or now - host.last_alert > throttle then
        host.last_alert = now
        missing[#missing + 1] = name
      end
    end
  end
  table.sort(missing)
  for _, name in ipairs(missing) do
    alert.queue(0, "Missing Heartbeat - " .. name)
  end
  alert.send_queue(0)
  inject_payload("json", "heartbeat", cjson.encode(hosts))
end
