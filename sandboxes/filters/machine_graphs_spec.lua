local SECOND = 1e9

local function message(seconds, kind, fields)
  return { Type = "stats." .. kind, Timestamp = seconds * SECOND, Fields = fields }
end

local function disk(seconds, sectors)
  local fields = { device = "sda", SectorsRead = sectors, SectorsWritten = 0 }
  return message(seconds, "diskstats", fields)
end

describe("machine_graphs", function()
  it("says nothing before it knows something", function()
    equal(#sandbox():timer(5 * SECOND), 0)
  end)

  it("says in a line how the machine is", function()
    local script = sandbox()
    script:process(message(1000, "loadavg", { ["1MinAvg"] = 0.5 }))
    script:process(message(1000, "memstats", { MemTotal = 1e6, MemAvailable = 750000 }))
    script:process(disk(1000, 100))
    script:timer(1000 * SECOND)
    script:process(disk(1005, 1100))
    local lines = script:timer(1005 * SECOND)
    equal(#lines, 1)
    equal(lines[1].Fields, { payload_type = "txt", payload_name = "machine" })
    equal(lines[1].Payload, "load 0.50 ▁▁▁▁▁▁▁▁▁▁▁█ | memory 25 % of 1.02 GB"
      .. " | disks read 102 kB/s, written 0 B/s | network in 0 B/s, out 0 B/s\n")
  end)

  it("gives a graph every minute", function()
    local script = sandbox({ graph_interval = 60, rows = 10 })
    script:timer(1000 * SECOND)
    script:process(message(1001, "loadavg", { ["1MinAvg"] = 0.5 }))
    equal(#script:timer(1059 * SECOND), 1)
    local messages = script:timer(1060 * SECOND)
    equal(messages[2].Fields, { payload_type = "cbuf", payload_name = "machine" })
  end)

  it("takes a counter that begins anew for a new one", function()
    local script = sandbox()
    script:process(disk(1000, 1e9))
    script:timer(1000 * SECOND)
    script:process(disk(1005, 0))
    local lines = script:timer(1005 * SECOND)
    equal(lines[1].Payload,
      "disks read 0 B/s, written 0 B/s | network in 0 B/s, out 0 B/s\n")
  end)
end)
