--[[
Reads the slow query log of MariaDB.

Reads Payload, an entry with all its lines. Gives Timestamp, Hostname (the client's), the SQL as
Payload, and the fields Query_time and Lock_time (s), Rows_sent, Rows_examined,
Thread_id, Schema, QC_hit and what MariaDB tells of its plan.

    [slow_queries]
    type = "LogstreamerInput"
    log_directory = "/var/log/mysql"
    file_match = 'slow\.log'
    splitter = "slow_query_splitter"
    decoder = "mariadb_slow_query"

    [slow_query_splitter]
    type = "RegexSplitter"
    delimiter = '\n(# User@Host:)'
    delimiter_eol = false

    [mariadb_slow_query]
    type = "SandboxDecoder"
    filename = "lua_decoders/mariadb_slow_query.lua"

    [mariadb_slow_query.config]
    truncate_sql = 64   # bytes of the SQL that are kept; a negative number keeps its end
--]]

process_message = require("slow_query")(
  "mariadb.slow-query",
  "mariadb_slow_query_grammar",
  "mariadb_short_slow_query_grammar"
)
