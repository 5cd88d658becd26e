describe("message_fields", function()
  local function ask(what)
    return filter([[
      local message_fields = require "message_fields"
      function process_message()
        inject_message({ Payload = table.concat(]] .. what .. [[, " ") })
        return 0
      end
    ]])
  end
  local message = {
    Timestamp = 2500e6, Hostname = "web", Severity = 3,
    Fields = { load = 1.5, user = "joe" },
  }

  it("gives tags in order", function()
    local found = ask([[message_fields.tags("user Hostname none")]]):process(message)
    equal(found[1].Payload, "hostname:web user:joe")
  end)

  it("gives numbers, times and severity", function()
    local found = ask([[{ message_fields.numbers()[1].name, message_fields.seconds(),
      message_fields.milliseconds(), message_fields.severity() }]]):process(message)
    equal(found[1].Payload, "load 2 2500 error")
  end)

  it("cuts between characters", function()
    local found = ask([[{ message_fields.cut("aéé", 4), message_fields.cut("ab", 2) }]]):process(message)
    equal(found[1].Payload, "aé ab")
  end)
end)
