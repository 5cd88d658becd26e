local TEXT = [[
local alert = require "alert"
alert.set_throttle(10e9)
function process_message()
  local ns, text = read_message("Timestamp"), read_message("Payload")
  if read_message("Type") == "queue" then
    alert.queue(ns, text)
  else
    alert.send(ns, text)
  end
  return 0
end
function timer_event(ns)
  alert.send_queue(ns)
end
]]

local function payloads(messages)
  local found = {}
  for at, message in ipairs(messages) do
    found[at] = message.Fields.payload_type .. ":" .. message.Payload
  end
  return table.concat(found, "|")
end

describe("alert", function()
  it("sends one in the time set", function()
    local script = filter(TEXT)
    equal(payloads(script:process({ Timestamp = 1e9, Payload = "one" })), "alert:one")
    equal(payloads(script:process({ Timestamp = 11e9, Payload = "two" })), "")
    equal(payloads(script:process({ Timestamp = 12e9, Payload = "three" })), "alert:three")
  end)

  it("never holds back what has no time", function()
    local script = filter(TEXT)
    equal(payloads(script:process({ Timestamp = 0, Payload = "one" })), "alert:one")
    equal(payloads(script:process({ Timestamp = 0, Payload = "two" })), "alert:two")
  end)

  it("sends no empty text", function()
    equal(payloads(filter(TEXT):process({ Timestamp = 1e9, Payload = "" })), "")
  end)

  it("joins what is queued", function()
    local script = filter(TEXT)
    script:process({ Timestamp = 1e9, Type = "queue", Payload = "one" })
    script:process({ Timestamp = 2e9, Type = "queue", Payload = "two" })
    equal(payloads(script:timer(3e9)), "alert:one\ntwo")
    equal(payloads(script:timer(30e9)), "")
  end)
end)
