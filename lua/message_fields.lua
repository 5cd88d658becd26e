--[[
What services want to know of the message at hand: its numbers, its tags, all of it.

    local message_fields = require "message_fields"
    for _, number in ipairs(message_fields.numbers({ "load" })) do
      print(number.name, number.value)
    end
--]]

require "math"
require "string"

local M = {}

local SEVERITIES = { [0] = "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug" }

local function list(names)
  local wanted = {}
  for name in string.gmatch(names or "", "[^%s,]+") do
    wanted[name] = true
  end
  return next(wanted) and wanted or nil
end

-- All fields: name, value (the first) and unit.
local function fields()
  local found = {}
  for _, field in ipairs(decode_message(read_message("raw")).Fields or {}) do
    local value = field.value
    if type(value) == "table" then
      value = value[1]
    end
    found[#found + 1] = { name = field.name, value = value, unit = field.representation }
  end
  return found
end

-- The fields that are numbers, of those in `names` (text with spaces between), or all.
function M.numbers(names)
  local wanted, found = list(names), {}
  for _, field in ipairs(fields()) do
    if type(field.value) == "number" and (not wanted or wanted[field.name]) then
      found[#found + 1] = field
    end
  end
  return found
end

-- Tags `name:value` of the parts in `names`: fields, or Type, Logger and Hostname.
function M.tags(names)
  local wanted, found = list(names) or {}, {}
  for _, part in ipairs({ "Hostname", "Logger", "Type" }) do
    local value = wanted[part] and read_message(part)
    if value and value ~= "" then
      found[#found + 1] = string.lower(part) .. ":" .. value
    end
  end
  for _, field in ipairs(fields()) do
    if wanted[field.name] then
      found[#found + 1] = field.name .. ":" .. tostring(field.value)
    end
  end
  return found
end

-- All fields by name, with what the header says.
function M.attributes()
  local found = {}
  for _, field in ipairs(fields()) do
    if found[field.name] == nil then
      found[field.name] = field.value
    end
  end
  for name, part in pairs({ hostname = "Hostname", logger = "Logger", type = "Type" }) do
    local value = read_message(part)
    if value and value ~= "" and found[name] == nil then
      found[name] = value
    end
  end
  return found
end

-- The severity as a word.
function M.severity()
  return SEVERITIES[read_message("Severity")] or "debug"
end

-- The time in seconds.
function M.seconds()
  return math.floor(read_message("Timestamp") / 1e9)
end

-- The time in milliseconds. A number holds nanoseconds to about 128 of them: what is just below a whole
-- one is one.
function M.milliseconds()
  return math.floor((read_message("Timestamp") + 500) / 1e6)
end

-- Text of at most so many bytes, cut between characters.
function M.cut(text, most)
  if #text <= most then
    return text
  end
  local last = most
  while last > 0 and string.byte(text, last + 1) >= 128 and string.byte(text, last + 1) < 192 do
    last = last - 1
  end
  return string.sub(text, 1, last)
end

return M
