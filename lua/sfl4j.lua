--[[
The grammar of logs that Java programs write with SLF4J:
`SEVERITY [time] class: message`, and the lines of a stack trace.

    local sfl4j = require "sfl4j"
    local t = sfl4j.logevent_grammar:match(text)
    -- t.severity, t.timestamp (nanoseconds), t.class, t.message, t.stacktrace
--]]

local l = require "lpeg"

local date_time = require "date_time"

local space = l.S(" \t") ^ 0
local eol = l.P("\n")
local severities = {
  TRACE = 7, DEBUG = 7, INFO = 6, WARN = 4, WARNING = 4, ERROR = 3, FATAL = 2,
}
local time = date_time.build_strftime_grammar("%Y-%m-%d %H:%M:%S") / date_time.time_to_ns
local milliseconds = l.S(",.") * (l.R("09") ^ 1) / function(text)
  return tonumber("0." .. string.sub(text, 2)) * 1e9
end
local timestamp = time * (milliseconds + l.Cc(0)) / function(ns, fraction)
  return ns + fraction
end

local M = {}

M.logevent_grammar = l.Ct(
  l.Cg(l.R("AZ") ^ 1 / severities, "severity") * space
    * "[" * l.Cg(timestamp, "timestamp") * "]" * space
    * l.Cg((1 - l.S(": \n")) ^ 1, "class") * ":" * space
    * l.Cg((1 - eol) ^ 0, "message")
    * (eol ^ 1 * l.Cg(l.P(1) ^ 1, "stacktrace")) ^ -1
)

return M
