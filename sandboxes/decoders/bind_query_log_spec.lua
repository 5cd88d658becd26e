describe("bind_query_log", function()
  it("reads a query", function()
    local line = "13-Feb-2009 23:31:30.000 client ::1#5 (a.org): view all: query: a.org IN DLV -"
    local found = sandbox({ type = "bind" }):decode({ Payload = line })[1]
    equal({ found.Type, found.Fields.ClientIP, found.Fields.RecordType }, { "bind", "::1", "DLV" })
    equal({ found.Timestamp / 1e9, found.Severity }, { 1234567890, 6 })
  end)

  it("fails on other lines", function()
    equal(pcall(function()
      sandbox():decode({ Payload = "x" })
    end), false)
  end)
end)
