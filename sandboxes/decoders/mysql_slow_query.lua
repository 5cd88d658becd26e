--[[
Reads the slow query log of MySQL.

Reads Payload, an entry with all its lines. Gives Timestamp, Hostname (the client's), the SQL as
Payload, and the fields Query_time and Lock_time (s), Rows_sent, Rows_examined.

    [slow_queries]
    type = "LogstreamerInput"
    log_directory = "/var/log/mysql"
    file_match = 'slow\.log'
    splitter = "slow_query_splitter"
    decoder = "mysql_slow_query"

    [slow_query_splitter]
    type = "RegexSplitter"
    delimiter = '\n(# User@Host:)'
    delimiter_eol = false

    [mysql_slow_query]
    type = "SandboxDecoder"
    filename = "lua_decoders/mysql_slow_query.lua"

    [mysql_slow_query.config]
    truncate_sql = 64   # bytes of the SQL that are kept; a negative number keeps its end
--]]

process_message = require("slow_query")(
  "mysql.slow-query",
  "slow_query_grammar",
  "short_slow_query_grammar"
)
