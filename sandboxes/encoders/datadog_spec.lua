local function has(text, part)
  equal(string.find(text, part, 1, true) ~= nil and part, part)
end

describe("datadog", function()
  local message = {
    Timestamp = 2e9, Type = "t", Logger = "l", Hostname = "web", Severity = 4, Payload = "text",
    Fields = { load = 1.5, env = "prod", status = "CRITICAL" },
  }

  it("gives a series for each number", function()
    local text = sandbox({ metric_prefix = "h.", tags = "env" }):encode(message)
    has(text, '"metric":"h.load"')
    has(text, '"type":3')
    has(text, '"timestamp":2')
    has(text, '"value":1.5')
    has(text, '"tags":["env:prod"]')
    has(text, '"name":"web"')
    equal(sandbox():encode({ Payload = "x" }), nil)
  end)

  it("gives logs, events and checks", function()
    local text = sandbox({ kind = "logs", tags = "Logger" }):encode(message)
    has(text, '"message":"text"')
    has(text, '"status":"warning"')
    has(text, '"ddtags":"logger:l"')
    has(text, '"env":"prod"')
    text = sandbox({ kind = "events", title = "%{Type} on %{Hostname}" }):encode(message)
    has(text, '"title":"t on web"')
    has(text, '"alert_type":"warning"')
    text = sandbox({ kind = "checks" }):encode(message)
    has(text, '"check":"l"')
    has(text, '"status":2')
    has(text, '"host_name":"web"')
    has(text, '"tags":["source:heka"]')
  end)

  it("knows no other kind", function()
    equal(pcall(function()
      sandbox({ kind = "x" }):encode(message)
    end), false)
  end)
end)
