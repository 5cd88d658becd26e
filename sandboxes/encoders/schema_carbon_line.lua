--[[
Fields that are numbers as lines for Graphite's Carbon: `name value seconds`.

Reads Timestamp and all fields. No output when none is a number.

    [carbon_line]
    type = "SandboxEncoder"
    filename = "lua_encoders/schema_carbon_line.lua"

    [carbon_line.config]
    name_prefix = "%{Hostname}.%{Type}"
    name_prefix_delimiter = "."
    skip_fields = "Pid"
    source_value_field = ""     # only this field, and the prefix is its name
--]]

require "table"

local ts_line_protocol = require "ts_line_protocol"

local source = read_config("source_value_field")
local settings = ts_line_protocol.set_config({
  name_prefix = read_config("name_prefix"),
  name_prefix_delimiter = read_config("name_prefix_delimiter") or ".",
  skip_fields = read_config("skip_fields"),
  source_value_field = source ~= "" and source or nil,
})

function process_message()
  local lines = ts_line_protocol.carbon_line_msg(settings)
  if #lines == 0 then
    return -2
  end
  inject_payload("txt", "carbon_line", table.concat(lines, "\n"), "\n")
  return 0
end
