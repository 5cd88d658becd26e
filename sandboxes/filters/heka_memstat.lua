--[[
Graphs the engine's own memory.

Reads Timestamp and the fields of heka.memstat. Gives a graph `Stats` (cbuf) every
`ticker_interval`, and alerts of what `anomaly_config` finds in it.

    [heka_memstat]
    type = "SandboxFilter"
    filename = "lua_filters/heka_memstat.lua"
    message_matcher = "Type == 'heka.memstat'"
    ticker_interval = 60
    preserve_data = true

    [heka_memstat.config]
    rows = 1440
    sec_per_row = 60
    anomaly_config = 'roc("Stats",1,15,0,1.5,true,false)'
    preservation_version = 0   # another one starts with an empty graph
--]]

local graph = require "graph"

local TITLE = "Stats"

-- Field, unit, aggregation.
local COLUMNS = {
  { "HeapSys", "B", "max" },
  { "HeapAlloc", "B", "max" },
  { "HeapIdle", "B", "max" },
  { "HeapInuse", "B", "max" },
  { "HeapReleased", "B", "max" },
  { "HeapObjects", "count", "max" },
}

_PRESERVATION_VERSION = read_config("preservation_version") or 0

stats = graph.of_fields(COLUMNS)

function process_message()
  return graph.add_fields(stats, COLUMNS)
end

function timer_event(ns)
  graph.send(ns, TITLE, stats)
end
