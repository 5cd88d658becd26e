--[[
The decoder of slow query logs: what mysql_slow_query and mariadb_slow_query share.

    process_message = require("slow_query")("mysql.slow-query", "slow_query_grammar", "short_slow_query_grammar")

Reads `truncate_sql` from the configuration of the script.
--]]

require "string"

local mysql = require "mysql"

local truncate_sql = read_config("truncate_sql")

-- The first so many bytes, or with a negative number the last, with dots where it was cut.
local function truncate(sql)
  if not truncate_sql or #sql <= math.abs(truncate_sql) then
    return sql
  elseif truncate_sql < 0 then
    return "..." .. string.sub(sql, truncate_sql)
  end
  return string.sub(sql, 1, truncate_sql) .. "..."
end

return function(message_type, long, short)
  local grammar = mysql[long] + mysql[short]
  return function()
    local message = grammar:match(read_message("Payload"))
    if not message then
      return -1, "no entry of a slow query log"
    end
    message.Type = message_type
    message.Payload = truncate(message.Payload)
    inject_message(message)
    return 0
  end
end
