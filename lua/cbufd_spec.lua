local TEXT = [[
local cbufd = require "cbufd"
function process_message()
  local t = cbufd.grammar:match(read_message("Payload"))
  if not t then return -1, "no cbufd" end
  add_to_payload(t.header, ";")
  for _, row in ipairs(t) do
    add_to_payload(row.time / 1e9, " ", row[1], " ", row[2], ";")
  end
  inject_payload("txt", "")
  return 0
end
]]

describe("cbufd", function()
  it("is read into rows", function()
    local text = '{"rows":2}\n1379574900\t43\t-1.5\n1379574960\tnan\t1e3\n'
    local found = filter(TEXT):process({ Payload = text })[1].Payload
    equal(found, '{"rows":2};1379574900 43 -1.5;1379574960 nan 1000;')
  end)

  it("is refused when it is something else", function()
    equal(pcall(function()
      filter(TEXT):process({ Payload = "garbage" })
    end), false)
  end)
end)
