--[[
Grammars of logs that rsyslog writes, made from its template.

    local syslog = require "syslog"
    local grammar = syslog.build_rsyslog_grammar('%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg%\n')
    local t = grammar:match(line)   -- t.timestamp in nanoseconds, t.syslogtag.programname, t.msg

Times are in nanoseconds; pri is a table of facility and severity, syslogtag one of programname and
pid. `severity` reads the name of a severity.
--]]

local l = require "lpeg"

require "math"
require "string"

local date_time = require "date_time"

local digit = l.R("09")
local integer = digit ^ 1 / tonumber

local severities = {
  debug = 7, info = 6, notice = 5, warning = 4, warn = 4, error = 3, err = 3, crit = 2, alert = 1,
  emerg = 0, panic = 0,
}
local facilities = {
  kern = 0, user = 1, mail = 2, daemon = 3, auth = 4, syslog = 5, lpr = 6, news = 7, uucp = 8,
  cron = 9, authpriv = 10, ftp = 11, local0 = 16, local1 = 17, local2 = 18, local3 = 19, local4 = 20,
  local5 = 21, local6 = 22, local7 = 23,
}

-- The number of a name; longer names first, so that `warn` does not end `warning`.
local function name_of(names)
  local word = l.C((l.R("az", "AZ", "09")) ^ 1)
  return l.Cmt(word, function(_, at, name)
    local number = names[string.lower(name)]
    return number ~= nil and at, number
  end)
end

local M = {}

M.severity = name_of(severities)

local to_ns = date_time.time_to_ns
local rfc3164 = date_time.rfc3164_timestamp / to_ns
local rfc3339 = date_time.rfc3339 / to_ns

-- What the options of a time make of it.
local times = {
  ["date-rfc3164"] = rfc3164,
  ["date-rfc3164-buggyday"] = rfc3164,
  ["date-mysql"] = date_time.mysql_timestamp / to_ns,
  ["date-pgsql"] = date_time.pgsql_timestamp / to_ns,
  ["date-rfc3339"] = rfc3339,
  ["date-unixtimestamp"] = digit ^ 1 / date_time.seconds_to_ns,
  ["date-subseconds"] = integer,
}

local tag = l.Ct(
  l.Cg((1 - l.S(" :[")) ^ 1, "programname")
    * ("[" * l.Cg(integer, "pid") * "]") ^ -1 * l.P(":") ^ -1
)
local pri = integer / function(number)
  return { facility = math.floor(number / 8), severity = number % 8 }
end
local pri_text = l.Ct(l.Cg(name_of(facilities), "facility") * "." * l.Cg(M.severity, "severity")
  * ("<" * digit ^ 1 * ">") ^ -1)
local word = l.C((1 - l.S(" \n")) ^ 1)

local properties = {
  pri = pri, ["pri-text"] = pri_text, syslogtag = tag, hostname = word, source = word,
  fromhost = word, ["fromhost-ip"] = word, ["app-name"] = word, procid = word, msgid = word,
  syslogfacility = integer, syslogseverity = integer, syslogpriority = integer,
  ["syslogfacility-text"] = name_of(facilities), ["syslogseverity-text"] = M.severity,
  ["syslogpriority-text"] = M.severity, ["protocol-version"] = integer, inputname = word,
  ["structured-data"] = l.C(l.P("-") + ("[" * (l.P("\\") * 1 + (1 - l.P("]"))) ^ 0 * "]") ^ 1),
  programname = l.C((1 - l.S(" :[")) ^ 1), ["$bom"] = l.P("\239\187\191") ^ -1 / 0,
}
local is_time = { timestamp = true, timereported = true, timegenerated = true }

local escapes = { n = "\n", t = "\t", r = "\r", ["\\"] = "\\", ['"'] = '"', ["'"] = "'", ["%"] = "%" }

-- A part of the template: a property with its options, in any case and any number.
local function property(text)
  local name, options = string.match(string.lower(text), "^([^:]*):?[^:]*:?[^:]*:?(.*)$")
  local part = { name = name, pattern = properties[name] }
  for option in string.gmatch(options, "[^,]+") do
    if option == "sp-if-no-1st-sp" then
      return { space = true }
    end
    if times[option] and is_time[name] then
      part.pattern = times[option]
      part.name = option == "date-subseconds" and name .. "-subseconds" or name
    end
  end
  if is_time[name] and not part.pattern then
    part.pattern = rfc3339 + rfc3164
  end
  return part
end

local template_grammar = l.Ct((
  l.P("%") * (l.C((1 - l.P("%")) ^ 1) / property) * "%"
  + l.Cs(((l.P("\\") / "") * (l.C(1) / function(letter)
    return escapes[letter] or letter
  end) + (1 - l.P("%"))) ^ 1)
) ^ 1) * -1

-- The grammar of the lines that rsyslog writes with this template.
function M.build_rsyslog_grammar(template)
  local parts = template_grammar:match(template)
  if not parts then
    error("cannot read the template " .. template)
  end
  local pattern = l.P("\n") ^ -1 * -1
  for at = #parts, 1, -1 do
    local part = parts[at]
    if part == "\n" and at == #parts then
      -- A splitter may have taken the end of the line.
      pattern = l.P("\n") ^ -1 * pattern
    elseif type(part) == "string" then
      pattern = l.P(part) * pattern
    elseif part.space then
      pattern = l.P(" ") ^ -1 * pattern
    elseif part.pattern then
      pattern = l.Cg(part.pattern, part.name) * pattern
    else
      local following = parts[at + 1]
      local is_last = following == nil or (following == "\n" and at + 1 == #parts)
      local stop = type(following) == "string" and l.P(following) or l.P(false)
      local rest = is_last and l.C((1 - l.P("\n") * -1) ^ 0) or l.C((1 - stop) ^ 0)
      pattern = l.Cg(rest, part.name) * pattern
    end
  end
  return l.Ct(pattern)
end

return M
