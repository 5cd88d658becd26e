--[[
Graphs the slow queries of MySQL and MariaDB: how many, and what they cost on average.

Reads Timestamp and the fields Query_time, Lock_time, Rows_examined and Rows_sent. Gives a graph `Statistics` (cbuf) every
`ticker_interval`, and alerts of what `anomaly_config` finds in it.

    [mysql_slow_query]
    type = "SandboxFilter"
    filename = "lua_filters/mysql_slow_query.lua"
    message_matcher = "Type == 'mysql.slow-query'"
    ticker_interval = 60
    preserve_data = true

    [mysql_slow_query.config]
    rows = 1440
    sec_per_row = 60
    anomaly_config = 'roc("Statistics",1,15,0,1.5,true,false)'
    preservation_version = 0   # another one starts with an empty graph
--]]

require "circular_buffer"

local graph = require "graph"

local TITLE = "Statistics"

-- Field, name of its column, unit.
local COLUMNS = {
  { "Query_time", "Query Time", "s" },
  { "Lock_time", "Lock Time", "s" },
  { "Rows_examined", "Rows Examined", "count" },
  { "Rows_sent", "Rows Sent", "count" },
}
local COUNT = #COLUMNS + 1

_PRESERVATION_VERSION = read_config("preservation_version") or 0

averages = circular_buffer.new(graph.rows, COUNT, graph.sec_per_row)
-- The same rows, with what the averages are made of.
sums = circular_buffer.new(graph.rows, COUNT, graph.sec_per_row)
for at, column in ipairs(COLUMNS) do
  averages:set_header(at, column[2], column[3], "none")
end
averages:set_header(COUNT, "Count")

function process_message()
  local ns = read_message("Timestamp")
  local count = sums:add(ns, COUNT, 1)
  if not count then
    return 0
  end
  averages:add(ns, COUNT, 1)
  for at, column in ipairs(COLUMNS) do
    local value = read_message("Fields[" .. column[1] .. "]")
    if type(value) ~= "number" then
      value = 0
    end
    averages:set(ns, at, sums:add(ns, at, value) / count)
  end
  return 0
end

function timer_event(ns)
  graph.send(ns, TITLE, averages)
end
