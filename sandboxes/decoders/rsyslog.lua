--[[
Reads logs that rsyslog writes, as its template says.

Reads Payload. Gives Timestamp, Severity, Hostname, Pid and the field programname from the tag, the
text (msg) as Payload, and a field for every other property of the template.

    [syslog]
    type = "LogstreamerInput"
    log_directory = "/var/log"
    file_match = 'syslog'
    decoder = "rsyslog"

    [rsyslog]
    type = "SandboxDecoder"
    filename = "lua_decoders/rsyslog.lua"

    [rsyslog.config]
    type = "syslog"
    template = '%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%\n'
    hostname_keep = false   # the name in the line goes to Fields[hostname], not to Hostname
    tz = "UTC"              # the zone of the times in the log
--]]

local syslog = require "syslog"

local template = read_config("template")
if not template then
  error("rsyslog needs template in its config")
end
local message_type = read_config("type")
local hostname_keep = read_config("hostname_keep")
local grammar = syslog.build_rsyslog_grammar(template)

-- Takes a value out of the fields.
local function take(fields, name)
  local value = fields[name]
  fields[name] = nil
  return value
end

-- Severity and facility, from whichever property tells them.
local function priority(fields)
  local pri = take(fields, "pri") or take(fields, "pri-text") or {}
  local severity
  for _, name in ipairs({ "syslogseverity", "syslogseverity-text", "syslogpriority", "syslogpriority-text" }) do
    severity = take(fields, name) or severity
  end
  fields.syslogfacility = pri.facility or take(fields, "syslogfacility-text") or fields.syslogfacility
  return pri.severity or severity
end

function process_message()
  local fields = grammar:match(read_message("Payload"))
  if not fields then
    return -1, "the line does not fit template"
  end
  local message = { Type = message_type, Fields = fields }
  message.Timestamp = take(fields, "timestamp") or take(fields, "timereported")
    or take(fields, "timegenerated")
  message.Severity = priority(fields)
  local tag = take(fields, "syslogtag")
  if tag then
    fields.programname = tag.programname
    message.Pid = tag.pid
  end
  if not hostname_keep then
    local source = take(fields, "source")
    message.Hostname = take(fields, "hostname") or source
  end
  message.Payload = take(fields, "msg")
  inject_message(message)
  return 0
end
