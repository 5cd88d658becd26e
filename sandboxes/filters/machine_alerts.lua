--[[
Raises an alert when this machine is in trouble.

Reads messages of Type `stats.loadavg` and `stats.memstats`, and lines of log files (Type `logfile`).
Gives alerts: high load, little memory, many lines in a log that speak of trouble.

    [machine_alerts]
    type = "SandboxFilter"
    filename = "lua_filters/machine_alerts.lua"
    message_matcher = "Type == 'stats.loadavg' || Type == 'stats.memstats' || Type == 'logfile'"

    [machine_alerts.config]
    max_load = 8           # load of the last five minutes
    min_memory = 5         # percent of memory available
    max_troubles = 10      # lines of trouble in a log within a minute
    alert_throttle = 300   # seconds between two alerts of one kind
--]]

require "math"
require "string"

local MINUTE = 60e9
local WORDS = { "error", "fail", "panic", "segfault", "denied", "out of memory" }

local max_load = read_config("max_load") or 8
local min_memory = read_config("min_memory") or 5
local max_troubles = read_config("max_troubles") or 10
local throttle = (read_config("alert_throttle") or 300) * 1e9

local alerted = {} -- when there was an alert of a kind
local troubles = {} -- by log: lines of trouble in its minute

local function alert(ns, kind, text)
  if not alerted[kind] or ns - alerted[kind] >= throttle then
    alerted[kind] = ns
    inject_payload("alert", kind, text, "\n")
  end
end

local function is_trouble(line)
  line = string.lower(line)
  for _, word in ipairs(WORDS) do
    if string.find(line, word, 1, true) then
      return true
    end
  end
  return false
end

local function read_line(ns, log, line)
  if not is_trouble(line) then
    return
  end
  local minute = math.floor(ns / MINUTE)
  local seen = troubles[log]
  if not seen or seen.minute ~= minute then
    seen = { minute = minute, lines = 0 }
    troubles[log] = seen
  end
  seen.lines = seen.lines + 1
  if seen.lines > max_troubles then
    local text = string.format("%d lines of trouble in %s within a minute, the last: %s",
      seen.lines, log, (string.gsub(line, "%s+$", "")))
    alert(ns, "trouble in " .. log, text)
  end
end

function process_message(msg)
  local ns = msg.Timestamp
  local kind = msg.Type
  if kind == "stats.loadavg" then
    local load = msg.Fields["5MinAvg"]
    if load > max_load then
      alert(ns, "load", string.format("load of the last five minutes is %.2f", load))
    end
  elseif kind == "stats.memstats" then
    local available = 100 * msg.Fields.MemAvailable / msg.Fields.MemTotal
    if available < min_memory then
      alert(ns, "memory", string.format("%.1f %% of memory is available", available))
    end
  elseif kind == "logfile" then
    read_line(ns, msg.Logger, msg.Payload)
  end
  return 0
end
