--[[
Gathers lines for InfluxDB (0.9 and later) and gives them in batches.

Reads Timestamp, the base fields and all others. Gives `influx_line` (txt) every `ticker_interval`,
and when `flush_count` lines are gathered or the output would be too large.

    [influx_batch]
    type = "SandboxFilter"
    filename = "lua_filters/influx_batch.lua"
    message_matcher = "Type =~ /^stats/"
    ticker_interval = 10

    [influx_batch.config]
    flush_count = 0                 # lines; 0 waits for the ticker
    decimal_precision = "6"
    name_prefix = "%{Type}"
    name_prefix_delimiter = "."
    skip_fields = "Pid EnvVersion"
    source_value_field = ""         # only this field, and the prefix is its name
    tag_fields = "Hostname Logger"  # or **all_base**, or **all**
    timestamp_precision = "ms"
    value_field_key = "value"
--]]

require "table"

local ts_line_protocol = require "ts_line_protocol"

-- Below the output_limit that is given unless another is set.
local MAX_BYTES = 60000

local flush_count = read_config("flush_count") or 0
local settings = ts_line_protocol.of_script()

lines = {}
bytes = 0

local function flush()
  if #lines > 0 then
    inject_payload("txt", "influx_line", table.concat(lines, "\n"), "\n")
    lines, bytes = {}, 0
  end
end

function process_message()
  local new = ts_line_protocol.influxdb_line_msg(settings)
  local length = 0
  for _, line in ipairs(new) do
    length = length + #line + 1
  end
  -- One call may inject one message.
  local is_flushed = bytes + length > MAX_BYTES
  if is_flushed then
    flush()
  end
  for _, line in ipairs(new) do
    lines[#lines + 1] = line
  end
  bytes = bytes + length
  if flush_count > 0 and #lines >= flush_count and not is_flushed then
    flush()
  end
  return 0
end

function timer_event(ns)
  flush()
end
