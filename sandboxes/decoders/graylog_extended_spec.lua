describe("graylog_extended", function()
  it("reads a message", function()
    local payload = '{"version":"1.1","host":"web","short_message":"down","timestamp":1234567890.5,"level":3,"_user":"bob"}'
    local found = sandbox({ type = "graylog" }):decode({ Payload = payload })[1]
    equal({ found.Type, found.Hostname, found.Payload }, { "graylog", "web", "" })
    equal({ found.Timestamp / 1e9, found.Severity }, { 1234567890.5, 3 })
    equal(found.Fields, { short_message = "down", _user = "bob" })
  end)

  it("fails on other text", function()
    equal(pcall(function()
      sandbox():decode({ Payload = "x" })
    end), false)
  end)
end)
