local function has(text, part)
  equal(string.find(text, part, 1, true) ~= nil, true)
end

describe("schema_influx", function()
  it("gives a series with a column for each part", function()
    local script = sandbox({ series = "heka.%{Logger}", skip_fields = "Pid Severity EnvVersion Payload Hostname" })
    local text = script:encode({ Timestamp = 2e9, Type = "t", Logger = "l", Fields = { load = 1.5 } })
    has(text, '"name":"heka.l"')
    has(text, '"columns":["time","Type","Logger","load"]')
    has(text, '"points":[[2000,"t","l",1.5]]')
  end)

  it("gives a series for each field", function()
    local script = sandbox({ multi_series = true })
    local text = script:encode({ Timestamp = 2e9, Fields = { load = 1.5 } })
    has(text, '"name":"series.load"')
    has(text, '"points":[[2000,1.5]]')
  end)

  it("is silent when nothing is left", function()
    equal(sandbox({ exclude_base_fields = true }):encode({ Type = "t" }), nil)
  end)
end)
