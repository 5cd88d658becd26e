--[[
What the filters that draw a graph share: its size, its alerts and how it is sent.

    local graph = require "graph"
    local stats = circular_buffer.new(graph.rows, 2, graph.sec_per_row)
    function timer_event(ns)
      graph.send(ns, "Stats", stats)
    end

Where each column shows a field of its own, `of_fields` makes the graph and `add_fields` fills it; a
column is the field's name, its unit and its aggregation.

Reads `rows` (1440), `sec_per_row` (60), `anomaly_config` (none) and `alert_throttle` (3600) from the
configuration of the script.
--]]

require "circular_buffer"

local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"

local M = {
  rows = read_config("rows") or 1440,
  sec_per_row = read_config("sec_per_row") or 60,
}

local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))
alert.set_throttle((read_config("alert_throttle") or 3600) * 1e9)

-- An empty graph of these fields.
function M.of_fields(columns)
  local cbuf = circular_buffer.new(M.rows, #columns, M.sec_per_row)
  for at, column in ipairs(columns) do
    cbuf:set_header(at, column[1], column[2], column[3])
  end
  return cbuf
end

local function field(name)
  return read_message("Fields[" .. name .. "]")
end

-- Sets what the message says of these fields; `read` gives the value of a name where that is not the
-- field itself. Gives what process_message returns.
function M.add_fields(cbuf, columns, read)
  read = read or field
  local ns = read_message("Timestamp")
  local found = false
  for at, column in ipairs(columns) do
    local value = read(column[1])
    if type(value) == "number" then
      cbuf:set(ns, at, value)
      found = true
    end
  end
  if not found then
    return -1, "none of its fields is a number"
  end
  return 0
end

-- Sends a graph with its annotations, and before it an alert of what is unusual in it.
function M.send(ns, title, cbuf)
  if not anomaly_config then
    inject_payload("cbuf", title, cbuf)
    return
  end
  local message, annotations = anomaly.detect(ns, title, cbuf, anomaly_config)
  if message then
    annotation.concat(title, annotations)
    alert.send(ns, message)
  end
  local rows, _, seconds = cbuf:get_configuration()
  annotation.set_prune(title, rows * seconds * 1e9)
  inject_payload("cbuf", title, annotation.prune(title, ns) or "", cbuf)
end

return M
