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

local graph = require "graph"

local TITLE = "Memory Stats"

-- Field, unit, aggregation.
local COLUMNS = {
  { "MemFree", "kB", "max" },
  { "Cached", "kB", "max" },
  { "Active", "kB", "max" },
  { "Inactive", "kB", "max" },
  { "VmallocUsed", "kB", "max" },
  { "Shmem", "kB", "max" },
  { "SwapCached", "kB", "max" },
  { "SwapFree", "kB", "max" },
  { "SwapUsed", "kB", "max" },
}

_PRESERVATION_VERSION = read_config("preservation_version") or 0

stats = graph.of_fields(COLUMNS)

-- The kernel tells what swap there is and what is free of it.
local function swap_used()
  local total, free = read_message("Fields[SwapTotal]"), read_message("Fields[SwapFree]")
  return total and free and total - free
end

local function read(name)
  return read_message("Fields[" .. name .. "]") or name == "SwapUsed" and swap_used()
end

function process_message()
  return graph.add_fields(stats, COLUMNS, read)
end

function timer_event(ns)
  graph.send(ns, TITLE, stats)
end
