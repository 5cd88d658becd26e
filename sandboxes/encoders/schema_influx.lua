--[[
Messages for InfluxDB before 0.9, as JSON.

Reads Timestamp, the base fields and all others; bytes are left out. Gives an array of series, one
unless `multi_series` asks for one a field. No output when nothing is left to write.

    [influx]
    type = "SandboxEncoder"
    filename = "lua_encoders/schema_influx.lua"

    [influx.config]
    series = "heka.%{Logger}"
    skip_fields = "Pid EnvVersion"
    multi_series = false         # `series.name` for each field, with columns time and value
    exclude_base_fields = false
--]]

require "cjson"

local field_util = require "field_util"
local interpolate = require("msg_interpolate").interpolate_from_msg

local BYTES = 1

local series = read_config("series") or "series"
local multi_series = read_config("multi_series")
local skip, _, skip_all = field_util.field_map(read_config("skip_fields"))
local base = field_util.used_base_fields(skip)
if read_config("exclude_base_fields") then
  base = {}
end

-- Names and values of all that is written; a field of the same name again gets a number.
local function columns_of()
  local names, values, seen = {}, {}, {}
  local add = function(name, value)
    names[#names + 1] = name
    values[#values + 1] = value
  end
  for _, name in ipairs(base) do
    local value = read_message(name)
    if value ~= nil and not multi_series then
      add(name, value)
    end
  end
  for _, field in ipairs(decode_message(read_message("raw")).Fields or {}) do
    if field.value_type ~= BYTES and not skip[field.name] and not skip_all then
      local nth = seen[field.name] or 0
      seen[field.name] = nth + 1
      add(nth > 0 and field.name .. nth or field.name, field.value[1])
    end
  end
  return names, values
end

function process_message()
  local names, values = columns_of()
  if #names == 0 then
    return -2
  end
  local time = field_util.message_timestamp("ms")
  local prefix = interpolate(series)
  local found = {}
  if multi_series then
    for at, name in ipairs(names) do
      found[at] = {
        name = prefix .. "." .. name,
        columns = { "time", "value" },
        points = { { time, values[at] } },
      }
    end
  else
    table.insert(names, 1, "time")
    table.insert(values, 1, time)
    found[1] = { name = prefix, columns = names, points = { values } }
  end
  inject_payload("json", "influx", cjson.encode(found))
  return 0
end
