local DAY = 24 * 3600 * 1e9

local function feed(script, ns, text)
  for item in string.gmatch(text, ".") do
    script:process({ Timestamp = ns, Fields = { item = item } })
  end
end

describe("frequent_items", function()
  it("gives what is seen most", function()
    local script = sandbox({ message_variable = "Fields[item]", min_output_weight = 2 })
    feed(script, 1e9, "aabbbc")
    local found = script:timer(2e9)[1]
    equal(found.Payload, "item\tWeight\nb\t3\na\t2\n")
    equal(found.Fields, { payload_type = "tsv", payload_name = "Weighting by item" })
  end)

  it("takes from all when it is full", function()
    local script = sandbox({ message_variable = "Fields[item]", min_output_weight = 1, max_items = 2 })
    feed(script, 1e9, "aaabcd")
    equal(script:timer(2e9)[1].Payload, "item\tWeight\na\t2\nd\t1\n")
  end)

  it("starts anew", function()
    local script = sandbox({ message_variable = "Fields[item]", min_output_weight = 1 })
    feed(script, 1e9, "aa")
    feed(script, DAY + 1e9, "b")
    equal(script:timer(2e9)[1].Payload, "item\tWeight\nb\t1\n")
  end)

  it("wants to know of what", function()
    equal(pcall(sandbox), false)
  end)
end)
