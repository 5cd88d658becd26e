describe("schema_carbon_line", function()
  it("writes a line for each number", function()
    local script = sandbox({ name_prefix = "%{Type}", skip_fields = "c" })
    local fields = { ["a b"] = 1.5, text = "x", c = 3 }
    equal(script:encode({ Timestamp = 2e9, Type = "t", Fields = fields }), "t.a_b 1.5 2\n")
  end)

  it("is silent without numbers", function()
    equal(sandbox():encode({ Fields = { text = "x" } }), nil)
  end)
end)
