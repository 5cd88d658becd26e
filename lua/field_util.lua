--[[
Which parts of a message an encoder takes.

    local field_util = require "field_util"
    local fields, all_base, all = field_util.field_map("Payload status **all_base**")
    local base = field_util.used_base_fields({ Payload = true })
    local ms = field_util.message_timestamp("ms")
--]]

require "math"
require "string"

local BASE = { "Type", "Payload", "Hostname", "Pid", "Logger", "Severity", "EnvVersion" }
local PRECISIONS = { ms = 1e6, s = 1e9, m = 60e9, h = 3600e9 }

local M = {}

-- The names in a list with spaces between, as a set; with `**all_base**` or `**all**` also the base
-- fields. The other two results say whether those words stand in it.
function M.field_map(list)
  local fields, all_base, all = {}, false, false
  for name in string.gmatch(list or "", "%S+") do
    if name == "**all_base**" then
      all_base = true
    elseif name == "**all**" then
      all = true
    else
      fields[name] = true
    end
  end
  if all_base or all then
    for _, name in ipairs(BASE) do
      fields[name] = true
    end
  end
  return fields, all_base, all
end

-- The base fields that are not in a set, in a fixed order.
function M.used_base_fields(skip)
  local used = {}
  for _, name in ipairs(BASE) do
    if not (skip and skip[name]) then
      used[#used + 1] = name
    end
  end
  return used
end

-- The time of the message as whole milliseconds, seconds, minutes or hours.
function M.message_timestamp(precision)
  local unit = PRECISIONS[precision]
  if not unit then
    error("timestamp_precision is ms, s, m or h, not " .. tostring(precision))
  end
  -- A number holds nanoseconds to about 128 of them: what is just below a whole unit is one.
  return math.floor((read_message("Timestamp") + 500) / unit)
end

return M
