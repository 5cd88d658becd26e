local function message(seconds, written)
  return {
    Timestamp = seconds * 1e9,
    Fields = { TickerInterval = 1, FilePath = "/sys/block/sda/stat", WritesCompleted = written, TimeDoingIO = written * 2 },
  }
end

describe("diskstats", function()
  it("draws what was added", function()
    local script = sandbox({ rows = 2 })
    equal(#script:timer(1e9), 0)
    script:process(message(1, 100))
    script:process(message(2, 107))
    script:process(message(2, 5)) -- The machine has started anew.
    local found = script:timer(3e9)
    equal(found[1].Fields.payload_name, "Disk Stats")
    equal(string.match(found[1].Payload, "\n([^\n]*)\n$"), "7\tnan\tnan\tnan\tnan\tnan")
    equal(found[2].Fields.payload_name, "Time doing IO")
    equal(string.match(found[2].Payload, "\n([^\n]*)\n$"), "nan\tnan\t14\tnan")
  end)

  it("gives both graphs with tests too", function()
    local script = sandbox({ rows = 20, anomaly_config = 'roc("Disk Stats",1,3,0,1.5,true,false)' })
    script:process(message(1, 100))
    equal(#script:timer(3e9), 2)
  end)
end)
