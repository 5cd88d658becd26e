--[[
Graphs the load of a machine.

Reads Timestamp and the fields 1MinAvg, 5MinAvg, 15MinAvg and NumProcesses, as linux_loadavg gives
them. Gives a graph `LoadAvg Stats` (cbuf) every
`ticker_interval`, and alerts of what `anomaly_config` finds in it.

    [loadavg]
    type = "SandboxFilter"
    filename = "lua_filters/loadavg.lua"
    message_matcher = "Type == 'stats.loadavg'"
    ticker_interval = 60
    preserve_data = true

    [loadavg.config]
    rows = 1440
    sec_per_row = 60
    anomaly_config = 'roc("LoadAvg Stats",1,15,0,1.5,true,false)'
    preservation_version = 0   # another one starts with an empty graph
--]]

require "circular_buffer"

local graph = require "graph"

local TITLE = "LoadAvg Stats"

-- Field, name of its column, unit, aggregation.
local COLUMNS = {
  { "1MinAvg", "1MinAvg", "count", "max" },
  { "5MinAvg", "5MinAvg", "count", "max" },
  { "15MinAvg", "15MinAvg", "count", "max" },
  { "NumProcesses", "NumProcesses", "count", "max" },
}

_PRESERVATION_VERSION = read_config("preservation_version") or 0

stats = circular_buffer.new(graph.rows, #COLUMNS, graph.sec_per_row)
for at, column in ipairs(COLUMNS) do
  stats:set_header(at, column[2], column[3], column[4])
end

function process_message()
  local ns = read_message("Timestamp")
  local found = false
  for at, column in ipairs(COLUMNS) do
    local value = read_message("Fields[" .. column[1] .. "]")
    if type(value) == "number" then
      stats:set(ns, at, value)
      found = true
    end
  end
  if not found then
    return -1, "none of its fields is a number"
  end
  return 0
end

function timer_event(ns)
  graph.send(ns, TITLE, stats)
end
