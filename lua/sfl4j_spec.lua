local TEXT = [[
local grammar = require("sfl4j").logevent_grammar
function process_message()
  local t = grammar:match(read_message("Payload"))
  if not t then return -1, "no event" end
  inject_message({ Timestamp = t.timestamp, Severity = t.severity, Payload = t.message,
    Fields = { class = t.class, stacktrace = t.stacktrace } })
  return 0
end
]]

describe("sfl4j", function()
  it("reads an event with its trace", function()
    local text = "ERROR [2009-02-13 23:31:30,500] org.example.Main: failed\n! at a\n! at b\n"
    local found = filter(TEXT):process({ Payload = text })[1]
    equal({ found.Timestamp / 1e9, found.Severity }, { 1234567890.5, 3 })
    equal(found.Payload, "failed")
    equal(found.Fields, { class = "org.example.Main", stacktrace = "! at a\n! at b\n" })
  end)

  it("refuses other text", function()
    equal(pcall(function()
      filter(TEXT):process({ Payload = "hello" })
    end), false)
  end)
end)
