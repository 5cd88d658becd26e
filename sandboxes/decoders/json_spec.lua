describe("json", function()
  it("flattens into fields", function()
    local found = sandbox():decode({ Payload = '{"a":{"b":1},"c":"x","d":true}' })[1]
    equal({ found.Type, found.Payload }, { "json", "" })
    equal(found.Fields, { ["a.b"] = 1, c = "x", d = true })
  end)

  it("maps members to headers", function()
    local script = sandbox({
      map_fields = true, Timestamp = "time", timestamp_format = "%Y-%m-%dT%H:%M:%S%z",
      Severity = "level", Hostname = "host", Logger = "logger",
    })
    local payload = '{"time":"2009-02-13T23:31:30Z","level":3,"host":"web","logger":7,"x":1}'
    local found = script:decode({ Payload = payload })[1]
    equal({ found.Timestamp / 1e9, found.Severity }, { 1234567890, 3 })
    equal({ found.Hostname, found.Logger }, { "web", "" })
    equal(found.Fields, { x = 1 })
  end)

  it("fails on other text", function()
    equal(pcall(function()
      sandbox():decode({ Payload = "x" })
    end), false)
  end)
end)
