local TEXT = [[
require "cjson"
local util = require "util"
function process_message()
  local fields = {}
  util.table_to_fields(cjson.decode(read_message("Payload")), fields, nil, read_config("separator"), read_config("depth"))
  inject_message({ Type = "flat", Fields = fields })
  return 0
end
function timer_event(ns)
  inject_payload("txt", "", table.concat(util.behead_array(2, { "a", "b", "c" }), " "))
end
]]

describe("util", function()
  it("flattens tables", function()
    local payload = '{"a":{"b":1,"c":{"d":"x"}},"e":true}'
    local found = filter(TEXT):process({ Payload = payload })[1].Fields
    equal(found, { ["a.b"] = 1, ["a.c.d"] = "x", e = true })
    found = filter(TEXT, { separator = "_" }):process({ Payload = payload })[1].Fields
    equal(found, { a_b = 1, a_c_d = "x", e = true })
  end)

  it("keeps what is too deep as json", function()
    local found = filter(TEXT, { depth = 2 }):process({ Payload = '{"a":{"b":1,"c":{"d":"x"}}}' })
    equal(found[1].Fields, { ["a.b"] = 1, ["a.c"] = '{"d":"x"}' })
  end)

  it("gives the rest of an array", function()
    equal(filter(TEXT):timer(0)[1].Payload, "b c")
  end)
end)
