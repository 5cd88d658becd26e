local HEADER = '{"time":1,"rows":2,"columns":2,"seconds_per_row":1,"column_info":['
  .. '{"name":"hits","unit":"count","aggregation":"sum"},'
  .. '{"name":"most","unit":"count","aggregation":"max"}]}\n'

local function cbufd(rows)
  return { Payload = HEADER .. rows, Fields = { payload_type = "cbufd", payload_name = "Web" } }
end

describe("cbufd_aggregator", function()
  it("merges columns as they ask for it", function()
    local script = sandbox()
    script:process(cbufd("1\t2\t5\n2\t1\t1\n"))
    script:process(cbufd("1\t3\t4\n2\tnan\t7\n"))
    local graph = script:timer(3e9)[1]
    equal(graph.Fields, { payload_type = "cbuf", payload_name = "Web" })
    equal(string.match(graph.Payload, "\n(.*)$"), "5\t5\n1\t7\n")
  end)

  it("gives what changed once", function()
    local script = sandbox({ enable_delta = true })
    script:process(cbufd("1\t2\t5\n"))
    equal(string.find(script:timer(3e9)[2].Payload, "\n1\t2\t5\n", 1, true) ~= nil, true)
  end)

  it("fails on what is no cbufd", function()
    equal(pcall(function()
      sandbox():process({ Payload = "x" })
    end), false)
  end)
end)
