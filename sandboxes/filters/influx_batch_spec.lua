local function message(value)
  return { Timestamp = 2e9, Type = "t", Fields = { load = value } }
end

describe("influx_batch", function()
  it("waits for the ticker", function()
    local script = sandbox({ tag_fields = "Type", decimal_precision = 1 })
    equal(#script:process(message(1)), 0)
    equal(#script:process(message(2)), 0)
    local found = script:timer(3e9)
    equal(found[1].Payload, "load,Type=t value=1.0 2000\nload,Type=t value=2.0 2000\n")
    equal(found[1].Fields, { payload_type = "txt", payload_name = "influx_line" })
    equal(#script:timer(4e9), 0)
  end)

  it("gives a batch when it is full", function()
    local script = sandbox({ flush_count = 2 })
    equal(#script:process(message(1)), 0)
    equal(#script:process(message(2)), 1)
  end)

  it("keeps a batch below the limit", function()
    local script = sandbox({ tag_fields = "Type" })
    local large = message(string.rep("x", 40000))
    equal(#script:process(large), 0)
    equal(#script:process(large), 1)
    equal(#script:timer(4e9), 1)
  end)
end)
