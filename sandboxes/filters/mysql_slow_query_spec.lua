describe("mysql_slow_query", function()
  it("draws averages and a count", function()
    local script = sandbox({ rows = 2, sec_per_row = 1 })
    local query = function(seconds)
      local fields = { Query_time = seconds, Lock_time = 0, Rows_examined = 10, Rows_sent = 1 }
      script:process({ Timestamp = 1e9, Fields = fields })
    end
    query(2)
    query(4)
    local graph = script:timer(2e9)[1]
    equal(graph.Fields, { payload_type = "cbuf", payload_name = "Statistics" })
    equal(string.match(graph.Payload, "\n([^\n]*)\n$"), "3\t0\t10\t1\t2")
  end)
end)
