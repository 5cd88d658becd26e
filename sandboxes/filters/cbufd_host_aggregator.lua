--[[
Draws the graphs of many hosts beside each other: a graph for each column, a column for each host.

Reads payloads of type cbufd, Hostname and Fields[payload_name]. Gives graphs `name (column)` (cbuf)
every `ticker_interval`. More hosts than `max_hosts` end the filter; one that has been silent for
`host_expiration` seconds leaves its column to another.

    [cbufd_hosts]
    type = "SandboxFilter"
    filename = "lua_filters/cbufd_host_aggregator.lua"
    message_matcher = "Fields[payload_type] == 'cbufd'"
    ticker_interval = 60
    preserve_data = true

    [cbufd_hosts.config]
    max_hosts = 5
    rows = 60
    host_expiration = 120
    preservation_version = 0   # another one starts with empty graphs
--]]

require "circular_buffer"
require "cjson"

local cbufd = require "cbufd"

local OPTIONS = '{"options":{"stackedGraph":true,"fillGraph":true}}\n'

local max_hosts = read_config("max_hosts")
local rows_kept = read_config("rows")
if not max_hosts or not rows_kept then
  error("cbufd_host_aggregator needs max_hosts and rows in its config")
end
local expiration = (read_config("host_expiration") or 120) * 1e9

_PRESERVATION_VERSION = read_config("preservation_version") or 0

-- For each name the graphs of its columns; for each host its column and when it was heard from.
graphs = {}
hosts = {}

-- The column of a host; nil when there is none left.
local function column_of(name, ns)
  local host = hosts[name]
  if host then
    host.seen = math.max(host.seen, ns)
    return host.column
  end
  local taken = {}
  for other, known in pairs(hosts) do
    if ns - known.seen > expiration then
      hosts[other] = nil
    else
      taken[known.column] = true
    end
  end
  for column = 1, max_hosts do
    if not taken[column] then
      hosts[name] = { column = column, seen = ns }
      return column
    end
  end
end

-- A column that was another host's begins empty.
local function rename(cbuf, column, name, unit, aggregation)
  cbuf:set_header(column, name, unit, aggregation)
  local rows, _, seconds = cbuf:get_configuration()
  local newest = cbuf:current_time()
  for back = 0, rows - 1 do
    local ns = newest - back * seconds * 1e9
    local value = cbuf:get(ns, column)
    if value and value == value then
      cbuf:add(ns, column, 0 / 0)
    end
  end
end

local function graphs_of(name, header)
  if graphs[name] then
    return graphs[name]
  end
  local ok, shape = pcall(cjson.decode, header)
  if not ok or type(shape.column_info) ~= "table" then
    return nil
  end
  local list = {}
  for at, column in ipairs(shape.column_info) do
    list[at] = {
      title = name .. " (" .. column.name .. ")",
      unit = column.unit,
      aggregation = column.aggregation,
      owners = {},
      cbuf = circular_buffer.new(rows_kept, max_hosts, shape.seconds_per_row),
    }
  end
  graphs[name] = list
  return list
end

function process_message()
  local host = read_message("Hostname") or ""
  local parsed = cbufd.grammar:match(read_message("Payload") or "")
  local list = parsed and graphs_of(read_message("Fields[payload_name]") or "", parsed.header)
  if not list then
    return -1, "no cbufd"
  end
  local column = column_of(host, read_message("Timestamp"))
  if not column then
    return 1, "there are more than " .. max_hosts .. " hosts"
  end
  for at, graph in ipairs(list) do
    if graph.owners[column] ~= host then
      graph.owners[column] = host
      rename(graph.cbuf, column, host, graph.unit, graph.aggregation)
    end
    for _, row in ipairs(parsed) do
      local value = row[at]
      if value and value == value then
        if graph.aggregation == "sum" then
          graph.cbuf:add(row.time, column, value)
        else
          graph.cbuf:set(row.time, column, value)
        end
      end
    end
  end
  return 0
end

function timer_event(ns)
  for _, list in pairs(graphs) do
    for _, graph in ipairs(list) do
      inject_payload("cbuf", graph.title, OPTIONS, graph.cbuf)
    end
  end
end
