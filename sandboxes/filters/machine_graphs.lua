--[[
Graphs this machine, and says in a line how it is.

Reads messages of Type `stats.loadavg`, `stats.memstats`, `stats.diskstats` and `stats.netdev`, as
the decoders linux_loadavg, linux_memstats, linux_diskstats and linux_netdev give them. Gives a line
`machine` (txt) every `ticker_interval`, and every `graph_interval` seconds a graph `machine` (cbuf).

    [machine_graphs]
    type = "SandboxFilter"
    filename = "lua_filters/machine_graphs.lua"
    message_matcher = "Type =~ /^stats\\./"
    ticker_interval = 5

    [machine_graphs.config]
    sec_per_row = 10       # seconds that share a row of the graph
    rows = 360             # rows of the graph
    graph_interval = 60    # seconds between two graphs
--]]

require "circular_buffer"
require "math"
require "string"
require "table"

local SECOND = 1e9
local SECTOR = 512
local BARS = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }

local sec_per_row = read_config("sec_per_row") or 10
local graph_interval = (read_config("graph_interval") or 60) * SECOND

local graph = circular_buffer.new(read_config("rows") or 360, 6, sec_per_row)
local LOAD = graph:set_header(1, "load", "count", "max")
local MEMORY = graph:set_header(2, "memory", "percent", "max")
local READ = graph:set_header(3, "read", "B", "sum")
local WRITTEN = graph:set_header(4, "written", "B", "sum")
local RECEIVED = graph:set_header(5, "received", "B", "sum")
local SENT = graph:set_header(6, "sent", "B", "sum")

local load, memory, memory_total
local counters = {} -- the last value of each counter
local moved = { 0, 0, 0, 0, 0, 0 } -- bytes by column since the last line
local last_line, last_graph

-- Adds to the graph by how much a counter has grown.
local function count(column, name, ns, value)
  local before = counters[name]
  counters[name] = value
  if before and value >= before then
    graph:add(ns, column, value - before)
    moved[column] = moved[column] + value - before
  end
end

local read = {
  ["stats.loadavg"] = function(ns, fields)
    load = fields["1MinAvg"]
    graph:set(ns, LOAD, load)
  end,
  ["stats.memstats"] = function(ns, fields)
    memory_total = fields.MemTotal
    memory = 100 * (1 - fields.MemAvailable / memory_total)
    graph:set(ns, MEMORY, memory)
  end,
  ["stats.diskstats"] = function(ns, fields)
    local disk = fields.device or fields.FilePath
    count(READ, disk .. " read", ns, fields.SectorsRead * SECTOR)
    count(WRITTEN, disk .. " written", ns, fields.SectorsWritten * SECTOR)
  end,
  ["stats.netdev"] = function(ns, fields)
    if fields.netdevice ~= "lo" then
      count(RECEIVED, fields.netdevice .. " received", ns, fields.receive_bytes)
      count(SENT, fields.netdevice .. " sent", ns, fields.transmit_bytes)
    end
  end,
}

local function amount(bytes)
  for _, unit in ipairs({ "B", "kB", "MB" }) do
    if bytes < 1000 then
      return string.format("%.3g %s", bytes, unit)
    end
    bytes = bytes / 1000
  end
  return string.format("%.3g GB", bytes)
end

-- The last rows of a column as bars.
local function bars(ns, column)
  local values, most = {}, 0
  for back = 11, 0, -1 do
    local value = graph:get(ns - back * sec_per_row * SECOND, column)
    if not value or value ~= value then
      value = 0
    end
    values[#values + 1] = value
    most = math.max(most, value)
  end
  for at, value in ipairs(values) do
    local bar = most > 0 and math.ceil(value / most * #BARS) or 1
    values[at] = BARS[math.max(bar, 1)]
  end
  return table.concat(values)
end

local function line(ns)
  local parts = {}
  if load then
    parts[#parts + 1] = string.format("load %.2f %s", load, bars(ns, LOAD))
  end
  if memory then
    parts[#parts + 1] = string.format("memory %.0f %% of %s", memory, amount(memory_total * 1024))
  end
  local seconds = last_line and (ns - last_line) / SECOND or 0
  if seconds > 0 then
    local rate = function(column)
      return amount(moved[column] / seconds) .. "/s"
    end
    parts[#parts + 1] = "disks read " .. rate(READ) .. ", written " .. rate(WRITTEN)
    parts[#parts + 1] = "network in " .. rate(RECEIVED) .. ", out " .. rate(SENT)
  end
  moved = { 0, 0, 0, 0, 0, 0 }
  last_line = ns
  return table.concat(parts, " | ")
end

function process_message(msg)
  local reader = read[msg.Type]
  if reader then
    reader(msg.Timestamp, msg.Fields)
  end
  return 0
end

function timer_event(ns)
  local text = line(ns)
  if text ~= "" then
    inject_payload("txt", "machine", text, "\n")
  end
  last_graph = last_graph or ns
  if ns - last_graph >= graph_interval then
    last_graph = ns
    inject_payload("cbuf", "machine", graph)
  end
end
