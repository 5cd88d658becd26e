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

require "circular_buffer"

local graph = require "graph"

local TITLE = "Stats"

-- Field, name of its column, unit, aggregation.
local COLUMNS = {
  { "HeapSys", "HeapSys", "B", "max" },
  { "HeapAlloc", "HeapAlloc", "B", "max" },
  { "HeapIdle", "HeapIdle", "B", "max" },
  { "HeapInuse", "HeapInuse", "B", "max" },
  { "HeapReleased", "HeapReleased", "B", "max" },
  { "HeapObjects", "HeapObjects", "count", "max" },
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
