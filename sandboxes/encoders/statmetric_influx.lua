--[[
Statistics for InfluxDB before 0.9, a series for each.

Reads messages of Type `heka.statmetric` with emit_in_fields: Fields[timestamp] in seconds, and a
number for each statistic. No output when there is none.

    [influx_stats]
    type = "SandboxEncoder"
    filename = "lua_encoders/statmetric_influx.lua"
--]]

require "cjson"
require "table"

function process_message()
  local seconds = read_message("Fields[timestamp]")
  if type(seconds) ~= "number" then
    seconds = read_message("Timestamp") / 1e9
  end
  local series = {}
  for _, field in ipairs(decode_message(read_message("raw")).Fields or {}) do
    local value = field.value[1]
    if field.name ~= "timestamp" and type(value) == "number" then
      series[#series + 1] = {
        name = field.name,
        columns = { "time", "value" },
        points = { { math.floor(seconds) * 1000, value } },
      }
    end
  end
  if #series == 0 then
    return -2
  end
  inject_payload("json", "", cjson.encode(series))
  return 0
end
