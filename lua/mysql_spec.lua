local TEXT = [[
local mysql = require "mysql"
local grammar = mysql[read_config("name")]
function process_message()
  local t = grammar:match(read_message("Payload"))
  if not t then return -1, "no entry" end
  t.Fields.host = t.Hostname
  inject_message(t)
  return 0
end
]]

local USER = "# User@Host: web_1[web_1] @ db.example.com [10.0.0.1]\n"
local TIMES = "# Query_time: 2.5  Lock_time: 0.01 Rows_sent: 1  Rows_examined: 10\n"
local SQL = "use shop;\nSET timestamp=1234567890;\nSELECT 1\n  FROM t;\n"

local function check(name, text, fields)
  local found = filter(TEXT, { name = name }):process({ Payload = text })[1]
  equal(found.Payload, "SELECT 1\n  FROM t;")
  equal(found.Timestamp / 1e9, 1234567890)
  equal(found.Fields, fields)
end

describe("mysql", function()
  local fields = { Query_time = 2.5, Lock_time = 0.01, Rows_sent = 1, Rows_examined = 10 }

  it("reads an entry", function()
    check("short_slow_query_grammar", TIMES .. SQL, fields)
    fields.host = "db.example.com"
    check("slow_query_grammar", USER .. TIMES .. SQL, fields)
    check("slow_query_grammar", "# Time: 090213 23:31:30\n" .. USER .. TIMES .. SQL, fields)
  end)

  it("reads what MariaDB adds", function()
    local thread = "# Thread_id: 7  Schema: shop  QC_hit: No\n"
    local plan = "# Full_scan: Yes  Full_join: No  Tmp_table: No  Tmp_table_on_disk: No\n"
    check("mariadb_slow_query_grammar", USER .. thread .. TIMES .. plan .. SQL, {
      Query_time = 2.5, Lock_time = 0.01, Rows_sent = 1, Rows_examined = 10, Thread_id = 7,
      Schema = "shop", QC_hit = "No", Full_scan = "Yes", Full_join = "No", Tmp_table = "No",
      Tmp_table_on_disk = "No", host = "db.example.com",
    })
  end)
end)
