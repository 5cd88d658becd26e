describe("http_status", function()
  it("counts answers by class", function()
    local script = sandbox({ rows = 2, sec_per_row = 1 })
    for _, code in ipairs({ 200, 204, 301, 404, 999 }) do
      script:process({ Timestamp = 1e9, Fields = { status = code } })
    end
    local graph = script:timer(2e9)[1]
    equal(graph.Fields, { payload_type = "cbuf", payload_name = "HTTP Status" })
    equal(string.match(graph.Payload, "\n([^\n]*)\n$"), "nan\t2\t1\t1\tnan\t1")
    equal(string.find(graph.Payload, '"name":"HTTP_500"', 1, true) ~= nil, true)
  end)

  it("fails without a status", function()
    equal(pcall(function()
      sandbox():process({ Timestamp = 1e9 })
    end), false)
  end)

  it("alerts of what is unusual", function()
    local script = sandbox({
      rows = 20,
      sec_per_row = 1,
      status_field = "code",
      anomaly_config = 'roc("HTTP Status",2,3,0,1.5,true,false)',
    })
    for second = 1, 16 do
      script:process({ Timestamp = second * 1e9, Fields = { code = 200 } })
    end
    script:process({ Timestamp = 20e9, Fields = { code = 500 } })
    local messages = script:timer(20e9)
    equal(messages[1].Payload, "HTTP Status - algorithm: roc col: 2 msg: no new data")
    equal(string.find(messages[2].Payload, '^{"annotations":') ~= nil, true)
  end)
end)
