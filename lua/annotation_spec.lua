local TEXT = [[
local annotation = require "annotation"
annotation.set_prune("graph", 10e9)
function process_message()
  annotation.add("graph", read_message("Timestamp"), 1, "A", read_message("Payload"))
  return 0
end
function timer_event(ns)
  add_to_payload(annotation.prune("graph", ns) or "none")
  inject_payload("txt", "")
end
]]

describe("annotation", function()
  it("is gone when its time is over", function()
    local script = filter(TEXT)
    equal(script:timer(1e9)[1].Payload, "none")
    script:process({ Timestamp = 2e9, Payload = "first" })
    script:process({ Timestamp = 9e9, Payload = "second" })
    local text = script:timer(10e9)[1].Payload
    equal(string.find(text, '^{"annotations":%[{.*first.*},{.*second.*}%]}\n$') ~= nil, true)
    text = script:timer(15e9)[1].Payload
    equal(string.find(text, "first") == nil and string.find(text, "second") ~= nil, true)
    equal(script:timer(30e9)[1].Payload, "none")
  end)

  it("tells times in milliseconds", function()
    local script = filter(TEXT)
    script:process({ Timestamp = 2e9, Payload = "first" })
    equal(string.find(script:timer(3e9)[1].Payload, '"x":2000[,}]') ~= nil, true)
  end)
end)
