local TEXT = [[
local grammar = require("bind").query_log_grammar
function process_message()
  local t = grammar:match(read_message("Payload"))
  if not t then return -1, "no query" end
  inject_message(t)
  return 0
end
]]

describe("bind", function()
  it("reads a query", function()
    local line = "13-Feb-2009 23:31:30.500 queries: info: client 10.0.0.1#56789 (www.example.com): "
      .. "query: www.example.com IN A +E(0)D (10.0.0.53)"
    local found = filter(TEXT):process({ Payload = line })[1]
    equal(found.Timestamp / 1e9, 1234567890.5)
    equal(found.Fields, {
      ClientIP = "10.0.0.1", ClientEphemeralPort = 56789, FullQuery = "www.example.com",
      QueryDomain = "example.com", QueryName = "www", RecordClass = "IN", RecordType = "A",
      QueryFlags = { "recursion requested", "EDNS", "DNSSEC OK" }, ServerRespondingIP = "10.0.0.53",
    })
  end)

  it("refuses other lines", function()
    equal(pcall(function()
      filter(TEXT):process({ Payload = "hello" })
    end), false)
  end)
end)
