local TEXT = [[
require "table"
local ts_line_protocol = require "ts_line_protocol"
local cfg = ts_line_protocol.set_config({
  name_prefix = read_config("name_prefix"),
  skip_fields = read_config("skip_fields"),
  source_value_field = read_config("source_value_field"),
  tag_fields = read_config("tag_fields"),
  decimal_precision = read_config("decimal_precision"),
  timestamp_precision = read_config("timestamp_precision"),
})
function process_message()
  local lines
  if read_config("carbon") then
    lines = ts_line_protocol.carbon_line_msg(cfg)
  else
    lines = ts_line_protocol.influxdb_line_msg(cfg)
  end
  inject_payload("txt", "", table.concat(lines, "\n"))
  return 0
end
]]

local function check(config, fields, expected)
  local message = { Timestamp = 2e9, Type = "stats", Hostname = "web 1", Severity = 6, Pid = 3, Fields = fields }
  equal(filter(TEXT, config):process(message)[1].Payload, expected)
end

describe("ts_line_protocol", function()
  it("tags with the base fields", function()
    check({}, { load = 1.5 }, "load,Hostname=web\\ 1,Pid=3,Severity=6,Type=stats value=1.500000 2000")
  end)

  it("names what it is told to", function()
    local config = { tag_fields = "disk", decimal_precision = 1, timestamp_precision = "s", name_prefix = "%{Type}" }
    check(config, { used = 7, disk = "a,b" }, "stats.used,disk=a\\,b value=7.0 2")
  end)

  it("takes one field as the value", function()
    local config = { tag_fields = "disk", source_value_field = "used", name_prefix = "p" }
    check(config, { used = 7, other = 8, disk = "a" }, "p,disk=a value=7.000000 2000")
  end)

  it("writes numbers for carbon", function()
    check({ carbon = true, name_prefix = "web" }, { ["a b"] = 7.5 }, "web.a_b 7.5 2")
    check({ carbon = true }, { text = "x" }, "")
  end)
end)
