local TEXT = [[
require "table"
local field_util = require "field_util"
function process_message()
  local fields, all_base, all = field_util.field_map(read_config("list"))
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  add_to_payload(table.concat(names, " "), ";", all_base, ";", all, ";")
  add_to_payload(table.concat(field_util.used_base_fields(fields), " "), ";")
  add_to_payload(field_util.message_timestamp(read_config("precision") or "ms"))
  inject_payload("txt", "")
  return 0
end
]]

local function check(config, expected)
  equal(filter(TEXT, config):process({ Timestamp = 7200e9 })[1].Payload, expected)
end

describe("field_util", function()
  it("reads lists of names", function()
    check(
      { list = "Payload status  Pid" },
      "Payload Pid status;false;false;Type Hostname Logger Severity EnvVersion;7200000"
    )
  end)

  it("knows all base fields by a word", function()
    check(
      { list = "**all_base**", precision = "s" },
      "EnvVersion Hostname Logger Payload Pid Severity Type;true;false;;7200"
    )
  end)

  it("tells times as asked", function()
    local none = "Type Payload Hostname Pid Logger Severity EnvVersion"
    check({ list = "", precision = "m" }, ";false;false;" .. none .. ";120")
    check({ list = "", precision = "h" }, ";false;false;" .. none .. ";2")
  end)
end)
