describe("schema_influx_line", function()
  it("writes a line for each field", function()
    local script = sandbox({ tag_fields = "Hostname", name_prefix = "%{Type}", decimal_precision = "2" })
    equal(
      script:encode({ Timestamp = 2e9, Type = "t", Hostname = "web", Fields = { load = 1.5 } }),
      "t.load,Hostname=web value=1.50 2000\n"
    )
  end)

  it("keeps every millisecond", function()
    local script = sandbox({ skip_fields = "**all_base**" })
    equal(
      script:encode({ Timestamp = 1500000001234e6, Fields = { load = 1 } }),
      "load value=1.000000 1500000001234\n"
    )
  end)

  it("is silent without fields", function()
    equal(sandbox():encode({ Type = "t" }), nil)
  end)
end)
