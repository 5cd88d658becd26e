--[[
What the filters that draw a graph share: its size, its alerts and how it is sent.

    local graph = require "graph"
    local stats = circular_buffer.new(graph.rows, 2, graph.sec_per_row)
    function timer_event(ns)
      graph.send(ns, "Stats", stats)
    end

Reads `rows` (1440), `sec_per_row` (60), `anomaly_config` (none) and `alert_throttle` (3600) from the
configuration of the script.
--]]

local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"

local M = {
  rows = read_config("rows") or 1440,
  sec_per_row = read_config("sec_per_row") or 60,
}

local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))
alert.set_throttle((read_config("alert_throttle") or 3600) * 1e9)

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
