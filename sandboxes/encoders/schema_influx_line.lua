--[[
Fields as lines for InfluxDB 0.9 and later.

Reads Timestamp, the base fields and all others. No output when nothing is left to write.

    [influx_line]
    type = "SandboxEncoder"
    filename = "lua_encoders/schema_influx_line.lua"

    [influx_line.config]
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

local settings = ts_line_protocol.of_script()

function process_message()
  local lines = ts_line_protocol.influxdb_line_msg(settings)
  if #lines == 0 then
    return -2
  end
  inject_payload("txt", "influx_line", table.concat(lines, "\n"), "\n")
  return 0
end
