local TEXT = [[
local msg_interpolate = require "msg_interpolate"
function process_message()
  inject_payload("txt", "", msg_interpolate.interpolate_from_msg(read_message("Payload"), read_config("seconds")))
  return 0
end
]]

local function check(text, expected, config)
  local message = {
    Timestamp = 86400e9,
    Type = "nginx",
    Hostname = "web",
    Severity = 6,
    Payload = text,
    Fields = { status = 404 },
  }
  equal(filter(TEXT, config):process(message)[1].Payload, expected)
end

describe("msg_interpolate", function()
  it("puts in headers, fields and times", function()
    check("%{Type}-%{Hostname}.%{Severity}", "nginx-web.6")
    check("%{status}", "404")
    check("heka-%{%Y.%m.%d}", "heka-1970.01.02")
  end)

  it("takes the time given", function()
    check("%{%Y}", "2001", { seconds = 1000000000 })
  end)

  it("leaves what it does not know", function()
    check("100% %{nothing}", "100% %{nothing}")
  end)
end)
