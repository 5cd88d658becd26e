local function graph(time, rows)
  return {
    Logger = "l", Hostname = "web",
    Payload = '{"time":' .. time .. ',"rows":3,"columns":1,"seconds_per_row":60,'
      .. '"column_info":[{"name":"hits","unit":"count","aggregation":"sum"}]}\n' .. rows,
    Fields = { payload_type = "cbuf", payload_name = "p" },
  }
end

describe("cbuf_librato", function()
  it("sends each closed row once", function()
    local script = sandbox()
    local text = script:encode(graph(60, "nan\n5\n6\n"))
    equal(string.find(text, '"measure_time":120', 1, true) ~= nil, true)
    equal(string.find(text, '"name":"l:p:hits"', 1, true) ~= nil, true)
    local _, count = string.gsub(text, "measure_time", "")
    equal(count, 1)
    equal(script:encode(graph(60, "nan\n5\n7\n")), nil)
    text = script:encode(graph(120, "5\n7\n1\n"))
    equal(string.find(text, '"value":7', 1, true) ~= nil, true)
  end)

  it("fails on what is no graph", function()
    equal(pcall(function()
      sandbox():encode({ Payload = "x" })
    end), false)
  end)
end)
