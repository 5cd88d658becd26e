local TEXT = [[
process_message = require("slow_query")("t", "slow_query_grammar", "short_slow_query_grammar")
]]

local function check(truncate_sql, expected)
  local text = "# Query_time: 2.5  Lock_time: 0.01 Rows_sent: 1  Rows_examined: 10\n"
    .. "SET timestamp=1234567890;\nSELECT 1;\n"
  local script = filter(TEXT, { truncate_sql = truncate_sql })
  equal(script:process({ Payload = text })[1].Payload, expected)
end

describe("slow_query", function()
  it("cuts the text where it is told to", function()
    check(nil, "SELECT 1;")
    check(3, "SEL...")
    check(-2, "...1;")
    check(50, "SELECT 1;")
  end)
end)
