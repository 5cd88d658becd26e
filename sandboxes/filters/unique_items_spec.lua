local function row(graph, from_end)
  local rows = {}
  for line in string.gmatch(graph.Payload, "[^\n]+") do
    rows[#rows + 1] = line
  end
  return rows[#rows - from_end]
end

describe("unique_items", function()
  it("counts what differs in each period", function()
    local script = sandbox({ message_variable = "Fields[user]", rows = 2, seconds_per_row = 10 })
    for _, user in ipairs({ "a", "b", "a", "c" }) do
      script:process({ Timestamp = 1e9, Fields = { user = user } })
    end
    script:process({ Timestamp = 11e9, Fields = { user = "a" } })
    local graph = script:timer(12e9)[1]
    equal(graph.Fields.payload_name, "Estimated Unique Daily user")
    equal(row(graph, 1), "3")
    equal(row(graph, 0), "1")
  end)

  it("sends what changed as cbufd", function()
    local script = sandbox({ message_variable = "Fields[user]", enable_delta = true })
    script:process({ Timestamp = 1e9, Fields = { user = "a" } })
    local found = script:timer(2e9)
    equal({ found[1].Fields.payload_type, found[2].Fields.payload_type }, { "cbuf", "cbufd" })
  end)
end)
