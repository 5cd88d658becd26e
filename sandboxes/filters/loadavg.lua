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

local graph = require "graph"

local TITLE = "LoadAvg Stats"

-- Field, unit, aggregation.
local COLUMNS = {
  { "1MinAvg", "count", "max" },
  { "5MinAvg", "count", "max" },
  { "15MinAvg", "count", "max" },
  { "NumProcesses", "count", "max" },
}

_PRESERVATION_VERSION = read_config("preservation_version") or 0

stats = graph.of_fields(COLUMNS)

function process_message()
  return graph.add_fields(stats, COLUMNS)
end

function timer_event(ns)
  graph.send(ns, TITLE, stats)
end
