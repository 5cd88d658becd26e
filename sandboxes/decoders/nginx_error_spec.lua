describe("nginx_error", function()
  it("reads a line", function()
    local line = "2009/02/13 23:31:30 [error] 12345#7: *67 open() failed"
    local found = sandbox():decode({ Payload = line })[1]
    equal(found.Timestamp / 1e9, 1234567890)
    equal({ found.Type, found.Payload }, { "nginx.error", "open() failed" })
    equal({ found.Severity, found.Pid }, { 3, 12345 })
    equal(found.Fields, { tid = 7, connection = 67 })
  end)

  it("reads what belongs to no connection", function()
    local found = sandbox():decode({ Payload = "2009/02/13 23:31:30 [notice] 1#0: start\n" })[1]
    equal(found.Payload, "start")
    equal(found.Fields, { tid = 0 })
  end)
end)
