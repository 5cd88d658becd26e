local ENTRY = "# User@Host: a[a] @ db [10.0.0.1]\n"
  .. "# Thread_id: 7  Schema: shop  QC_hit: No\n"
  .. "# Query_time: 2.5  Lock_time: 0.01 Rows_sent: 1  Rows_examined: 10\n"
  .. "SET timestamp=1234567890;\nSELECT 1;\n"

describe("mariadb_slow_query", function()
  it("reads an entry", function()
    local found = sandbox():decode({ Payload = ENTRY })[1]
    equal({ found.Type, found.Hostname, found.Payload }, { "mariadb.slow-query", "db", "SELECT 1;" })
    equal(found.Timestamp / 1e9, 1234567890)
    equal(found.Fields, { Query_time = 2.5, Lock_time = 0.01, Rows_sent = 1, Rows_examined = 10, Thread_id = 7, Schema = "shop", QC_hit = "No" })
  end)

  it("fails on other text", function()
    equal(pcall(function()
      sandbox():decode({ Payload = "x" })
    end), false)
  end)
end)
