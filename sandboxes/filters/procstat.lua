--[[
What the processors did since the message before, in percent.

Reads Timestamp and the fields of linux_procstat. Injects a message of Type
`heka.sandbox.procstat` for each but the first, with the fields cpu_percent, cpu0_percent and so on.
With `extras` also, for each processor, cpu_percent_user, _nice, _system, _idle, _iowait, the ticks as
cpu_delta_user and so on, cpu_delta_ticks, and for every counter name_delta.

    [procstat]
    type = "SandboxFilter"
    filename = "lua_filters/procstat.lua"
    message_matcher = "Type == 'stats.procstat'"

    [procstat.config]
    whitelist = "^cpu$"      # a pattern of Lua; without it all processors
    extras = false
    percent_integer = true   # whole numbers
--]]

require "math"
require "string"

local KINDS = { "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal" }
local SHOWN = 5
local IDLE, IOWAIT = 4, 5
local COUNTERS = { "ctxt", "processes" }

local whitelist = read_config("whitelist") or ""
local extras = read_config("extras")
local percent_integer = read_config("percent_integer") ~= false

last = {}

local function percent(part, all)
  local value = all > 0 and 100 * part / all or 0
  return percent_integer and math.floor(value + 0.5) or value
end

-- Puts what a processor did since `before` into the fields.
local function compare(fields, name, before, now)
  local deltas, all = {}, 0
  for at = 1, #KINDS do
    -- The kernel lets some of them fall now and then.
    deltas[at] = math.max((now[at] or 0) - (before[at] or 0), 0)
    all = all + deltas[at]
  end
  fields[name .. "_percent"] = percent(all - deltas[IDLE] - deltas[IOWAIT], all)
  if not extras then
    return
  end
  fields[name .. "_delta_ticks"] = all
  for at = 1, #KINDS do
    fields[name .. "_delta_" .. KINDS[at]] = deltas[at]
    if at <= SHOWN then
      fields[name .. "_percent_" .. KINDS[at]] = percent(deltas[at], all)
    end
  end
end

function process_message()
  local fields, found = {}, false
  for _, field in ipairs(decode_message(read_message("raw")).Fields or {}) do
    local name, now = field.name, field.value
    if string.find(name, "^cpu%d*$") and string.find(name, whitelist) then
      if last[name] then
        compare(fields, name, last[name], now)
        found = true
      end
      last[name] = now
    end
  end
  for _, name in ipairs(extras and COUNTERS or {}) do
    local now = read_message("Fields[" .. name .. "]")
    if now and last[name] and now >= last[name] then
      fields[name .. "_delta"] = now - last[name]
    end
    last[name] = now
  end
  if found then
    inject_message({ Type = "procstat", Timestamp = read_message("Timestamp"), Fields = fields })
  end
  return 0
end
