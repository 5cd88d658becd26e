local function has(text, part)
  equal(string.find(text, part, 1, true) ~= nil and part, part)
end

describe("newrelic", function()
  local message = {
    Timestamp = 2500e6, Type = "a.b", Hostname = "web", Severity = 3, Payload = "text",
    Fields = { load = 1.5, env = "prod" },
  }

  it("gives metrics with attributes", function()
    local text = sandbox({ metric_prefix = "h.", metric_type = "count" }):encode(message)
    has(text, '"name":"h.load"')
    has(text, '"value":1.5')
    has(text, '"timestamp":2500')
    has(text, '"interval.ms":10000')
    has(text, '"env":"prod"')
    equal(sandbox():encode({ Payload = "x" }), nil)
  end)

  it("gives logs and events", function()
    local text = sandbox({ kind = "logs" }):encode(message)
    has(text, '"message":"text"')
    has(text, '"level":"error"')
    text = sandbox({ kind = "events" }):encode(message)
    has(text, '"eventType":"a_b"')
    has(text, '"load":1.5')
  end)
end)
