local TEMPLATE = "%TIMESTAMP:::date-rfc3339% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%\\n"
local LINE = "2009-02-13T23:31:30Z web sshd[12]: Accepted"

describe("rsyslog", function()
  it("reads a line", function()
    local found = sandbox({ template = TEMPLATE, type = "syslog" }):decode({ Payload = LINE, Hostname = "here" })[1]
    equal(found.Timestamp / 1e9, 1234567890)
    equal({ found.Type, found.Hostname, found.Payload }, { "syslog", "web", "Accepted" })
    equal(found.Pid, 12)
    equal(found.Fields, { programname = "sshd" })
  end)

  it("leaves Hostname alone if it is told to", function()
    local script = sandbox({ template = TEMPLATE, hostname_keep = true })
    local found = script:decode({ Payload = LINE, Hostname = "here" })[1]
    equal(found.Hostname, "here")
    equal(found.Fields, { programname = "sshd", hostname = "web" })
  end)

  it("takes the severity from the priority", function()
    local found = sandbox({ template = "<%PRI%>%msg%" }):decode({ Payload = "<34>x\n" })[1]
    equal(found.Payload, "x")
    equal(found.Severity, 2)
    equal(found.Fields, { syslogfacility = 4 })
  end)

  it("fails on other lines", function()
    equal(pcall(function()
      sandbox({ template = TEMPLATE }):decode({ Payload = "x" })
    end), false)
  end)
end)
