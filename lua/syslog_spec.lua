local TEXT = [[
local syslog = require "syslog"
local grammar = syslog.build_rsyslog_grammar(read_config("template"))
function process_message()
  local t = grammar:match(read_message("Payload"))
  if not t then return -1, "no match" end
  local ns = t.timestamp
  t.timestamp = nil
  for _, name in ipairs({ "pri", "pri-text", "syslogtag" }) do
    if t[name] then
      for key, value in pairs(t[name]) do t[key] = value end
      t[name] = nil
    end
  end
  inject_message({ Timestamp = ns, Fields = t })
  return 0
end
]]

local function check(template, line, seconds, fields)
  local found = filter(TEXT, { template = template }):process({ Payload = line })[1]
  equal(found.Fields, fields)
  if seconds then
    equal(found.Timestamp / 1e9, seconds)
  end
end

describe("syslog", function()
  it("reads the template of files", function()
    local template = "%TIMESTAMP:::date-rfc3339% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg%\\n"
    check(template, "2009-02-13T23:31:30Z web sshd[12]: Accepted: yes\n", 1234567890, {
      hostname = "web", programname = "sshd", pid = 12, msg = "Accepted: yes",
    })
    check(template, "2009-02-13T23:31:30Z web kernel: up", 1234567890, {
      hostname = "web", programname = "kernel", msg = "up",
    })
  end)

  it("reads priorities", function()
    check("<%PRI%>%msg%", "<34>text", nil, { facility = 4, severity = 2, msg = "text" })
    check("%pri-text% %msg%", "local0.warning text", nil, { facility = 16, severity = 4, msg = "text" })
  end)

  it("reads seconds as times", function()
    check("%timestamp:::date-unixtimestamp% %msg%", "1234567890 x", 1234567890, { msg = "x" })
  end)
end)
