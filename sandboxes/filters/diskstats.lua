--[[
Graphs what a disk does.

Reads Timestamp and the fields of linux_diskstats, counters since the machine started. Gives the
graphs `Disk Stats` (what was added since the message before) and `Time doing IO` (cbuf) every
`ticker_interval`, and alerts of what `anomaly_config` finds in them.

    [diskstats]
    type = "SandboxFilter"
    filename = "lua_filters/diskstats.lua"
    message_matcher = "Type == 'stats.diskstats'"
    ticker_interval = 60
    preserve_data = true

    [diskstats.config]
    rows = 1440   # each is as wide as Fields[TickerInterval] of the first message, in seconds
    anomaly_config = 'roc("Time doing IO",1,15,0,1.5,true,false)'
--]]

require "circular_buffer"

local graph = require "graph"

local COUNTERS = {
  "WritesCompleted", "ReadsCompleted", "SectorsWritten", "SectorsRead", "WritesMerged", "ReadsMerged",
}
local TIMES = { "TimeWriting", "TimeReading", "TimeDoingIO", "WeightedTimeDoingIO" }

disk_stats = nil
time_stats = nil
before = {}

local function new_graphs()
  local seconds = read_message("Fields[TickerInterval]")
  if type(seconds) ~= "number" or seconds < 1 then
    seconds = graph.sec_per_row
  end
  disk_stats = circular_buffer.new(graph.rows, #COUNTERS, seconds)
  for at, name in ipairs(COUNTERS) do
    disk_stats:set_header(at, name, "count", "sum")
  end
  time_stats = circular_buffer.new(graph.rows, #TIMES, seconds)
  for at, name in ipairs(TIMES) do
    time_stats:set_header(at, name, "ms", "max")
  end
end

-- Adds to each column by how much its counter has grown; one that fell has started anew.
local function count(buffer, names, disk, ns)
  for at, name in ipairs(names) do
    local value = read_message("Fields[" .. name .. "]")
    if type(value) == "number" then
      local key = disk .. " " .. name
      local last = before[key]
      before[key] = value
      if last and value >= last then
        buffer:add(ns, at, value - last)
      end
    end
  end
end

function process_message()
  local ns = read_message("Timestamp")
  local disk = (read_message("Hostname") or "") .. " "
    .. (read_message("Fields[device]") or read_message("Fields[FilePath]") or "")
  if not disk_stats then
    new_graphs()
  end
  count(disk_stats, COUNTERS, disk, ns)
  count(time_stats, TIMES, disk, ns)
  return 0
end

function timer_event(ns)
  if disk_stats then
    graph.send(ns, "Disk Stats", disk_stats)
    graph.send(ns, "Time doing IO", time_stats)
  end
end
