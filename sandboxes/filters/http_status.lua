--[[
Graphs the answers of web servers by class of status.

Reads Timestamp and the field `status_field`. Gives a graph `HTTP Status` (cbuf) every
`ticker_interval`, and alerts of what `anomaly_config` finds in it.

    [http_status]
    type = "SandboxFilter"
    filename = "lua_filters/http_status.lua"
    message_matcher = "Type == 'nginx.access'"
    ticker_interval = 60
    preserve_data = true

    [http_status.config]
    sec_per_row = 60
    rows = 1440
    status_field = "status"
    anomaly_config = 'roc("HTTP Status",2,15,0,1.5,true,false)'
    alert_throttle = 3600      # seconds between two alerts
    preservation_version = 0   # another one starts with an empty graph
--]]

require "circular_buffer"
require "math"

local graph = require "graph"

local TITLE = "HTTP Status"

local status_field = "Fields[" .. (read_config("status_field") or "status") .. "]"

_PRESERVATION_VERSION = read_config("preservation_version") or 0

status = circular_buffer.new(graph.rows, 6, graph.sec_per_row)
for class = 1, 5 do
  status:set_header(class, "HTTP_" .. class * 100)
end
local UNKNOWN = status:set_header(6, "HTTP_UNKNOWN")

function process_message()
  local code = tonumber(read_message(status_field))
  if not code then
    return -1
  end
  local class = math.floor(code / 100)
  if class < 1 or class > 5 then
    class = UNKNOWN
  end
  status:add(read_message("Timestamp"), class, 1)
  return 0
end

function timer_event(ns)
  graph.send(ns, TITLE, status)
end
