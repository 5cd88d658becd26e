--[[
Graphs the memory of a machine.

Reads Timestamp and the fields of linux_memstats that its columns name, in kB. Gives a graph `Memory Stats` (cbuf) every
`ticker_interval`, and alerts of what `anomaly_config` finds in it.

    [memstats]
    type = "SandboxFilter"
    filename = "lua_filters/memstats.lua"
    message_matcher = "Type == 'stats.memstats'"
    ticker_interval = 60
    preserve_data = true

    [memstats.config]
    rows = 1440
    sec_per_row = 60
    anomaly_config = 'roc("Memory Stats",1,15,0,1.5,true,false)'
    preservation_version = 0   # another one starts with an empty graph
--]]

require "circular_buffer"

local graph = require "graph"

local TITLE = "Memory Stats"

-- Field, name of its column, unit, aggregation.
local COLUMNS = {
  { "MemFree", "MemFree", "kB", "max" },
  { "Cached", "Cached", "kB", "max" },
  { "Active", "Active", "kB", "max" },
  { "Inactive", "Inactive", "kB", "max" },
  { "VmallocUsed", "VmallocUsed", "kB", "max" },
  { "Shmem", "Shmem", "kB", "max" },
  { "SwapCached", "SwapCached", "kB", "max" },
  { "SwapFree", "SwapFree", "kB", "max" },
  { "SwapUsed", "SwapUsed", "kB", "max" },
}

_PRESERVATION_VERSION = read_config("preservation_version") or 0

stats = circular_buffer.new(graph.rows, #COLUMNS, graph.sec_per_row)
for at, column in ipairs(COLUMNS) do
  stats:set_header(at, column[2], column[3], column[4])
end

-- The kernel tells what swap there is and what is free of it.
local function swap_used()
  local total, free = read_message("Fields[SwapTotal]"), read_message("Fields[SwapFree]")
  return total and free and total - free
end

function process_message()
  local ns = read_message("Timestamp")
  local found = false
  for at, column in ipairs(COLUMNS) do
    local value = read_message("Fields[" .. column[1] .. "]")
    if not value and column[1] == "SwapUsed" then
      value = swap_used()
    end
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
