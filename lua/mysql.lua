--[[
Grammars of the slow query logs of MySQL and MariaDB.

    local mysql = require "mysql"
    local t = mysql.slow_query_grammar:match(text)
    -- t.Timestamp in nanoseconds, t.Hostname, t.Payload (the SQL), t.Fields

The short ones are for entries whose `# User@Host` line is missing.
--]]

local l = require "lpeg"

local date_time = require "date_time"

local digit = l.R("09")
local space = l.P(" ") ^ 0
local eol = l.P("\n")
local rest_of_line = (1 - eol) ^ 0 * eol

local number = digit ^ 1 * ("." * digit ^ 1) ^ -1 / tonumber

local function in_seconds(name)
  local value = l.Ct(l.Cg(number, "value") * l.Cg(l.Cc("s"), "representation"))
  return l.P(name) * ":" * space * l.Cg(value, name)
end

local function plain(name, pattern)
  return l.P(name) * ":" * space * l.Cg(pattern, name)
end

-- Servers tell a host by name, by address, or by both.
local user = l.P("# User@Host: ") * (1 - l.S("@\n")) ^ 0 * "@" * space
local name = (1 - l.S(" []\n")) ^ 1
local host = l.Cg(name, "Hostname") * space * "[" * name ^ -1 * "]"
  + "[" * l.Cg(name, "Hostname") * "]"
local user_host = user * host * rest_of_line

local times = "# " * in_seconds("Query_time") * space * in_seconds("Lock_time") * space
  * plain("Rows_sent", number) * space * plain("Rows_examined", number) * rest_of_line

local word = l.C((1 - l.S(" \n")) ^ 1)
local mariadb_thread = "# " * plain("Thread_id", number) * space * "Schema:" * space
  * l.Cg(word, "Schema") ^ -1 * space * plain("QC_hit", word) * rest_of_line

local function plan_item(key)
  return plain(key, word) * space
end

local plan = "# " * (
  plan_item("Full_scan") + plan_item("Full_join") + plan_item("Tmp_table")
  + plan_item("Tmp_table_on_disk") + plan_item("Filesort") + plan_item("Filesort_on_disk")
  + plan_item("Merge_passes")
) ^ 1 * rest_of_line

local use_database = l.P("use ") * rest_of_line
local set_time = l.P("SET timestamp=")
  * l.Cg(digit ^ 1 / date_time.seconds_to_ns, "Timestamp") * ";" * rest_of_line
local time_line = l.P("# Time:") * rest_of_line
-- The SQL without the lines of the next entry and what ends it.
local sql = l.Cg((1 - eol ^ 0 * (l.P("# Time:") + "# User@Host:" + -1)) ^ 1, "Payload")
local other = l.P("#") * rest_of_line - l.P("# User@Host:")

local function entry(head, fields)
  return l.Ct(time_line ^ -1 * head * l.Cg(l.Ct(fields * (plan + other) ^ 0), "Fields")
    * use_database ^ -1 * set_time * sql)
end

local M = {}

M.slow_query_grammar = entry(user_host, times)
M.short_slow_query_grammar = entry(l.P(true), times)
M.mariadb_slow_query_grammar = entry(user_host, mariadb_thread * times)
M.mariadb_short_slow_query_grammar = entry(l.P(true), mariadb_thread * times)

return M
