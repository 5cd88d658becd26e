--[[
Grammars of dates and times.

    local date_time = require "date_time"
    local ns = (date_time.rfc3339 / date_time.time_to_ns):match("2026-07-14T12:00:00.5+02:00")
    local grammar = date_time.build_strftime_grammar("%d/%b/%Y:%H:%M:%S %z")

A grammar captures a table: year, month, day, hour, min, sec, sec_frac, and offset_sign, offset_hour,
offset_min where a zone is told. All else is UTC.
--]]

local l = require "lpeg"

require "math"
require "os"
require "string"

local DAY = 86400
local MONTHS = { "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec" }
local LONG_MONTHS = {
  "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
  "november", "december",
}
local WEEKDAYS = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" }
local LONG_WEEKDAYS = {
  "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
}
-- Hours east of Greenwich.
local ZONES = {
  UTC = 0, GMT = 0, WET = 0, WEST = 1, BST = 1, CET = 1, CEST = 2, EET = 2, EEST = 3, MSK = 3,
  IST = 5.5, JST = 9, KST = 9, AEST = 10, AEDT = 11, NZST = 12, NZDT = 13, EST = -5, EDT = -4,
  CST = -6, CDT = -5, MST = -7, MDT = -6, PST = -8, PDT = -7, AKST = -9, AKDT = -8, HST = -10,
}

local M = {}

-- Days from 1970 to a date, by the calendar of today; March begins the year, so that the leap day
-- ends it.
local function days_of(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  local era = math.floor(year / 400)
  local of_era = year - era * 400
  local of_year = math.floor((153 * (month - 3) + 2) / 5) + day - 1
  local leaps = math.floor(of_era / 4) - math.floor(of_era / 100)
  return era * 146097 + of_era * 365 + leaps + of_year - 719468
end

-- Nanoseconds since 1970 of what a grammar has captured.
function M.time_to_ns(t)
  if not t then
    return 0
  end
  local year = t.year or tonumber(os.date("!%Y"))
  local hour = tonumber(t.hour) or 0
  if t.period then
    hour = hour % 12 + (t.period == "pm" and 12 or 0)
  end
  local days
  if t.yday and not t.month then
    days = days_of(tonumber(year), 1, 1) + t.yday - 1
  else
    days = days_of(tonumber(year), tonumber(t.month) or 1, tonumber(t.day) or 1)
  end
  local seconds = days * DAY + hour * 3600 + (tonumber(t.min) or 0) * 60 + (tonumber(t.sec) or 0)
  if t.epoch then
    seconds = t.epoch
  end
  if t.offset_hour then
    local offset = t.offset_hour * 3600 + (t.offset_min or 0) * 60
    seconds = seconds + (t.offset_sign == "-" and offset or -offset)
  end
  return seconds * 1e9 + math.floor((tonumber(t.sec_frac) or 0) * 1e9 + 0.5)
end

-- Nanoseconds of seconds, from a number or its text.
function M.seconds_to_ns(seconds)
  local whole, fraction = math.modf(tonumber(seconds))
  return whole * 1e9 + math.floor(fraction * 1e9 + 0.5)
end

local digit = l.R("09")
local two = digit * digit
local four = two * two

local function number(pattern, name)
  return l.Cg(pattern / tonumber, name)
end

-- A word of a list in letters of either case: its place in it.
local function word(list)
  local pattern = l.P(false)
  for at, text in ipairs(list) do
    local one = l.P(true)
    for letter in string.gmatch(text, ".") do
      one = one * l.S(letter .. string.upper(letter))
    end
    pattern = pattern + one * l.Cc(at)
  end
  return pattern
end

local function no_capture(pattern)
  return pattern / 0
end

local year = number(four, "year")
local month = number("0" * l.R("19") + "1" * l.R("02"), "month")
local day = number("0" * l.R("19") + l.S("12") * digit + "3" * l.R("01"), "day")
-- Days with one digit have a blank before them, or nothing.
local blank_day = number("3" * l.R("01") + l.R("12") * digit + l.S(" 0") ^ -1 * l.R("19"), "day")
local hour = number(l.R("01") * digit + "2" * l.R("03"), "hour")
local minute = number(l.R("05") * digit, "min")
local second = number(l.R("05") * digit + "60", "sec")
local fraction = number(l.P(".") * digit ^ 1, "sec_frac")
local month_name = l.Cg(word(LONG_MONTHS) + word(MONTHS), "month")
local weekday = no_capture(word(LONG_WEEKDAYS) + word(WEEKDAYS))
local clock = hour * ":" * minute * ":" * second
local sign = l.Cg(l.S("+-"), "offset_sign")
local offset_hour = number(two, "offset_hour")
local offset_min = number(two, "offset_min")
local zulu = l.Cg(l.Cc("+"), "offset_sign") * l.Cg(l.Cc(0), "offset_hour")
  * l.Cg(l.Cc(0), "offset_min")

local zone = l.P(false)
for _, length in ipairs({ 4, 3 }) do
  for name, hours in pairs(ZONES) do
    if #name == length then
      local whole, part = math.modf(math.abs(hours))
      zone = zone + l.P(name) * l.Cg(l.Cc(hours < 0 and "-" or "+"), "offset_sign")
        * l.Cg(l.Cc(whole), "offset_hour") * l.Cg(l.Cc(part * 60), "offset_min")
    end
  end
end

-- Names of zones, and offsets with or without a colon.
M.timezone = zone
M.timezone_offset = sign * offset_hour * l.P(":") ^ -1 * offset_min

-- The parts of RFC 3339, none a table of its own.
M.rfc3339_full_date = year * "-" * month * "-" * day
M.rfc3339_partial_time = clock * fraction ^ -1
M.rfc3339_time_numoffset = sign * offset_hour * ":" * offset_min
M.rfc3339_time_offset = l.S("zZ") * zulu + M.rfc3339_time_numoffset
M.rfc3339_full_time = M.rfc3339_partial_time * M.rfc3339_time_offset
M.rfc3339 = l.Ct(M.rfc3339_full_date * l.S("tT ") * M.rfc3339_full_time)

M.clf_timestamp = l.Ct(day * "/" * month_name * "/" * year * ":" * clock * " " * M.timezone_offset)
M.rfc3164_timestamp = l.Ct(month_name * " " * blank_day * " " * clock * fraction ^ -1)
M.mysql_timestamp = l.Ct(year * month * day * hour * minute * second)
M.pgsql_timestamp = l.Ct(M.rfc3339_full_date * " " * clock * fraction ^ -1 * (" " * zone) ^ -1)

local padded = function(name)
  return number(l.S(" 0") ^ -1 * digit * digit ^ -1 + two, name)
end

local century_year = l.Cg(two / function(text)
  return math.floor(tonumber(os.date("!%Y")) / 100) * 100 + tonumber(text)
end, "year")

local period = l.Cg((l.S("aA") * l.Cc("am") + l.S("pP") * l.Cc("pm")) * l.S("mM"), "period")
local american = month * "/" * day * "/" * century_year

local specifiers = {
  a = weekday, A = weekday, b = month_name, B = month_name, h = month_name,
  C = two, d = day, D = american, e = blank_day, F = M.rfc3339_full_date, g = two, G = four,
  H = hour, I = hour, j = number(digit * two, "yday"), k = padded("hour"), l = padded("hour"),
  m = month, M = minute, n = l.P("\n"), p = period, r = clock * " " * period,
  R = hour * ":" * minute, s = number(digit ^ 1, "epoch"), S = second, t = l.P("\t"), T = clock,
  u = l.R("17"), U = two, V = two, w = l.R("06"), W = two, x = american, X = clock,
  y = century_year, Y = year, z = l.S("zZ") * zulu + M.timezone_offset, Z = zone, ["%"] = l.P("%"),
  c = weekday * " " * month_name * " " * blank_day * " " * clock * " " * year,
}

-- The grammar of what `os.date` would print with this format.
function M.build_strftime_grammar(format)
  local pattern = l.P(true)
  local at = 1
  while at <= #format do
    local letter = string.sub(format, at, at)
    if letter == "%" then
      at = at + 1
      local name = string.sub(format, at, at)
      local specifier = specifiers[name]
      if not specifier then
        error("there is no %" .. name .. " in a format of times")
      end
      pattern = pattern * specifier
    else
      pattern = pattern * letter
    end
    at = at + 1
  end
  return l.Ct(pattern)
end

return M
