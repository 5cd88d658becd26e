local SECOND = 1e9

local function load(seconds, average)
  local fields = { ["1MinAvg"] = 0, ["5MinAvg"] = average }
  return { Type = "stats.loadavg", Timestamp = seconds * SECOND, Fields = fields }
end

local function line(seconds, text)
  return { Type = "logfile", Logger = "syslog", Timestamp = seconds * SECOND, Payload = text }
end

describe("machine_alerts", function()
  it("tells high load, once in a while", function()
    local script = sandbox({ max_load = 2, alert_throttle = 60 })
    equal(#script:process(load(1, 2)), 0)
    local alerts = script:process(load(2, 2.5))
    equal(#alerts, 1)
    equal(alerts[1].Type, "heka.sandbox-output")
    equal(alerts[1].Fields, { payload_type = "alert", payload_name = "load" })
    equal(alerts[1].Payload, "load of the last five minutes is 2.50\n")
    equal(#script:process(load(61, 3)), 0)
    equal(#script:process(load(62, 3)), 1)
  end)

  it("tells little memory", function()
    local script = sandbox()
    local fields = { MemTotal = 1000, MemAvailable = 40 }
    local alerts = script:process({ Type = "stats.memstats", Fields = fields })
    equal(alerts[1].Payload, "4.0 % of memory is available\n")
  end)

  it("tells many lines of trouble in a log", function()
    local script = sandbox({ max_troubles = 2 })
    equal(#script:process(line(60, "all is well\n")), 0)
    equal(#script:process(line(61, "ERROR one\n")), 0)
    equal(#script:process(line(62, "login failed\n")), 0)
    local alerts = script:process(line(63, "kernel panic\n"))
    equal(alerts[1].Payload,
      "3 lines of trouble in syslog within a minute, the last: kernel panic\n")
  end)

  it("begins anew with every minute", function()
    local script = sandbox({ max_troubles = 2 })
    for minute = 1, 4 do
      equal(#script:process(line(60 * minute, "error\n")), 0)
    end
  end)
end)
