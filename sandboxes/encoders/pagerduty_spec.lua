local function has(text, part)
  equal(string.find(text, part, 1, true) ~= nil, true)
end

describe("pagerduty", function()
  local config = { routing_key = "k", component = "%{Type}" }

  it("triggers with all that is known", function()
    local text = sandbox(config):encode({
      Timestamp = 86400e9, Type = "t", Logger = "l", Hostname = "web", Severity = 2,
      Payload = "it is down", Fields = { code = 7 },
    })
    has(text, '"routing_key":"k"')
    has(text, '"event_action":"trigger"')
    has(text, '"dedup_key":"web\\/l"')
    has(text, '"summary":"it is down"')
    has(text, '"severity":"critical"')
    has(text, '"source":"web"')
    has(text, '"timestamp":"1970-01-02T00:00:00Z"')
    has(text, '"component":"t"')
    has(text, '"code":7')
  end)

  it("resolves by the key of the incident", function()
    local text = sandbox(config):encode({ Fields = { event_action = "resolve", dedup_key = "x" } })
    has(text, '"event_action":"resolve"')
    has(text, '"dedup_key":"x"')
    equal(string.find(text, "summary", 1, true), nil)
  end)

  it("refuses an alert that says nothing", function()
    equal(pcall(function()
      sandbox(config):encode({})
    end), false)
  end)
end)
