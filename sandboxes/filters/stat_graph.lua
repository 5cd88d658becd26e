--[[
Graphs statistics, as StatAccumInput gives them with emit_in_fields.

Reads Timestamp and the fields that `stats` names. Gives a graph `Stats` (cbuf) every
`ticker_interval`, and alerts of what `anomaly_config` finds in it.

    [stat_graph]
    type = "SandboxFilter"
    filename = "lua_filters/stat_graph.lua"
    message_matcher = "Type == 'heka.statmetric'"
    ticker_interval = 60
    preserve_data = true

    [stat_graph.config]
    title = "Stats"
    stats = "stats.counters.hits.count stats.counters.errors.count"
    stat_labels = "hits errors"
    stat_aggregation = "sum"
    stat_unit = "count"
    rows = 300
    sec_per_row = 1
    anomaly_config = 'roc("Stats",1,15,0,1.5,true,false)'
    preservation_version = 0   # another one starts with an empty graph
--]]

require "circular_buffer"
require "string"

local graph = require "graph"

local function list(name)
  local text, found = read_config(name), {}
  if not text then
    error("stat_graph needs " .. name .. " in its config")
  end
  for word in string.gmatch(text, "%S+") do
    found[#found + 1] = word
  end
  return found
end

local title = read_config("title") or "Stats"
local stats = list("stats")
local labels = list("stat_labels")
if #stats == 0 or #stats ~= #labels then
  error("stats and stat_labels are to name as many, and one at least")
end

_PRESERVATION_VERSION = read_config("preservation_version") or 0

values = circular_buffer.new(read_config("rows") or 300, #stats, read_config("sec_per_row") or 1)
for at, label in ipairs(labels) do
  values:set_header(at, label, read_config("stat_unit") or "count",
    read_config("stat_aggregation") or "sum")
end

function process_message()
  local ns = read_message("Timestamp")
  for at, name in ipairs(stats) do
    local value = read_message("Fields[" .. name .. "]")
    if type(value) == "number" then
      values:set(ns, at, value)
    end
  end
  return 0
end

function timer_event(ns)
  graph.send(ns, title, values)
end
