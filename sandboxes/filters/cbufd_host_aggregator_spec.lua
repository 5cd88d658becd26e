local HEADER = '{"time":1,"rows":2,"columns":1,"seconds_per_row":1,"column_info":['
  .. '{"name":"hits","unit":"count","aggregation":"sum"}]}\n'

local function cbufd(host, seconds, rows)
  return {
    Timestamp = seconds * 1e9, Hostname = host, Payload = HEADER .. rows,
    Fields = { payload_type = "cbufd", payload_name = "Web" },
  }
end

describe("cbufd_host_aggregator", function()
  it("gives a column to each host", function()
    local script = sandbox({ max_hosts = 2, rows = 2 })
    script:process(cbufd("a", 2, "1\t2\n2\t1\n"))
    script:process(cbufd("b", 2, "2\t7\n"))
    local graph = script:timer(3e9)[1]
    equal(graph.Fields.payload_name, "Web (hits)")
    equal(string.match(graph.Payload, "\n(%S+\t%S+\n%S+\t%S+\n)$"), "2\tnan\n1\t7\n")
    equal(string.find(graph.Payload, '"stackedGraph":true', 1, true) ~= nil, true)
  end)

  it("ends when there are too many", function()
    local script = sandbox({ max_hosts = 1, rows = 2 })
    script:process(cbufd("a", 2, "2\t1\n"))
    equal(pcall(script.process, script, cbufd("b", 2, "2\t1\n")), false)
  end)

  it("gives the column of a silent host to another, empty", function()
    local script = sandbox({ max_hosts = 1, rows = 2, host_expiration = 10 })
    script:process(cbufd("a", 2, "1\t5\n2\t1\n"))
    script:process(cbufd("b", 20, "2\t7\n"))
    local graph = script:timer(21e9)[1]
    equal(string.match(graph.Payload, "\n([^\n]*\n[^\n]*\n)$"), "nan\n7\n")
    equal(string.find(graph.Payload, '"name":"b"', 1, true) ~= nil, true)
  end)
end)
