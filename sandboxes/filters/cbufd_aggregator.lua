--[[
Merges the graphs of many hosts into one for each name.

Reads payloads of type cbufd and Fields[payload_name]. Gives a graph (cbuf) for each name every
`ticker_interval`, with `enable_delta` what changed in it too (cbufd), and alerts of what
`anomaly_config` finds. Columns of sums are added; those of minima and maxima keep the least and most.

    [cbufd_aggregator]
    type = "SandboxFilter"
    filename = "lua_filters/cbufd_aggregator.lua"
    message_matcher = "Fields[payload_type] == 'cbufd'"
    ticker_interval = 60
    preserve_data = true

    [cbufd_aggregator.config]
    enable_delta = false
    anomaly_config = 'roc("HTTP Status",1,15,0,1.5,true,false)'
    preservation_version = 0   # another one starts with empty graphs
--]]

require "circular_buffer"
require "cjson"

local cbufd = require "cbufd"
local graph = require "graph"

local enable_delta = read_config("enable_delta") or false

_PRESERVATION_VERSION = read_config("preservation_version") or 0

-- For each name: the graph, and how its columns are merged.
graphs = {}

local function new_graph(header)
  local ok, shape = pcall(cjson.decode, header)
  if not ok or type(shape.column_info) ~= "table" then
    return nil
  end
  local known = {
    cbuf = circular_buffer.new(shape.rows, shape.columns, shape.seconds_per_row, enable_delta),
    aggregations = {},
  }
  for at, column in ipairs(shape.column_info) do
    known.cbuf:set_header(at, column.name, column.unit, column.aggregation)
    known.aggregations[at] = column.aggregation
  end
  return known
end

local function merge(known, row)
  for column, value in ipairs(row) do
    local aggregation = known.aggregations[column]
    if not aggregation or value ~= value then
      -- An unknown column, or a cell that is empty.
    elseif aggregation == "sum" then
      known.cbuf:add(row.time, column, value)
    elseif aggregation == "min" or aggregation == "max" then
      known.cbuf:set(row.time, column, value)
    end
  end
end

function process_message()
  local name = read_message("Fields[payload_name]") or ""
  local rows = cbufd.grammar:match(read_message("Payload") or "")
  if not rows then
    return -1, "no cbufd"
  end
  local known = graphs[name]
  if not known then
    known = new_graph(rows.header)
    if not known then
      return -1, "no header of a cbufd"
    end
    graphs[name] = known
  end
  for _, row in ipairs(rows) do
    merge(known, row)
  end
  return 0
end

function timer_event(ns)
  for name, known in pairs(graphs) do
    graph.send(ns, name, known.cbuf:format("cbuf"))
    if enable_delta then
      inject_payload("cbufd", name, known.cbuf:format("cbufd"))
    end
  end
end
