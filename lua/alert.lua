--[[
Alerts, at most one in a stretch of time, an hour unless `set_throttle` says another.

    local alert = require "alert"
    alert.set_throttle(300 * 1e9)
    alert.send(ns, "disk full")     -- a message with payload_type `alert`, or nothing

    alert.queue(ns, "first")        -- several in one message
    alert.queue(ns, "second")
    alert.send_queue(ns)

A time of 0 is never throttled. When the last alert was sent is kept in the global `_LAST_ALERT`.
--]]

require "table"

local throttle = 3600 * 1e9
local queued = {}

_LAST_ALERT = _LAST_ALERT or 0

local M = {}

-- Sets how many nanoseconds pass between two alerts.
function M.set_throttle(ns)
  throttle = ns
end

-- Says whether an alert at this time would be held back.
function M.throttled(ns)
  return ns ~= 0 and _LAST_ALERT ~= 0 and ns <= _LAST_ALERT + throttle
end

-- Sends an alert; false when there is nothing to say or it is held back.
function M.send(ns, message)
  if not message or message == "" or M.throttled(ns) then
    return false
  end
  if ns ~= 0 then
    _LAST_ALERT = ns
  end
  inject_payload("alert", "", message)
  return true
end

-- Keeps an alert for `send_queue`; false when there is nothing to say or it would be held back.
function M.queue(ns, message)
  if not message or message == "" or M.throttled(ns) then
    return false
  end
  queued[#queued + 1] = message
  return true
end

-- Sends what is queued as one alert, a line each; false when there is none or it is held back.
function M.send_queue(ns)
  if #queued == 0 or not M.send(ns, table.concat(queued, "\n")) then
    return false
  end
  queued = {}
  return true
end

return M
