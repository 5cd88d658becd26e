local TEXT = [[
local l = require "lpeg"
local ip_address = require "ip_address"
function process_message()
  local text = read_message("Payload")
  local is_v4 = (ip_address.v4 * -1):match(text) ~= nil
  local is_v6 = (ip_address.v6 * -1):match(text) ~= nil
  local host = (ip_address.host * -1):match(text)
  inject_payload("txt", "", is_v4, " ", is_v6, " ", host and host.representation)
  return 0
end
]]

local function check(text, expected)
  equal(filter(TEXT):process({ Payload = text })[1].Payload, expected)
end

describe("ip_address", function()
  it("knows the old ones", function()
    check("127.0.0.1", "true false ipv4")
    check("255.249.199.9", "true false ipv4")
    check("256.1.1.1", "false false hostname")
  end)

  it("knows the new ones", function()
    for _, text in ipairs({
      "::", "::1", "1::", "fe80::1:2", "2001:db8:0:0:0:0:0:1", "::ffff:10.0.0.1", "1:2:3:4:5:6:7::",
      "1::3:4:5:6:7:8",
    }) do
      check(text, "false true ipv6")
    end
    check("1:2:3", "false false nil")
    check("1:2:3:4:5:6:7:8:9", "false false nil")
  end)

  it("knows names", function()
    check("web-1.example.com", "false false hostname")
  end)
end)
