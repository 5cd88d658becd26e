local TEXT = [[
local elasticsearch = require "elasticsearch"
function process_message()
  local line = elasticsearch.bulkapi_index_json("heka-%{%Y.%m.%d}", "message", read_config("id"), 0)
  inject_payload("json", "", line)
  return 0
end
]]

local function check(config, expected)
  local message = { Fields = { request = 'a"b' } }
  equal(filter(TEXT, config):process(message)[1].Payload, expected)
end

describe("elasticsearch", function()
  it("says where a document goes", function()
    check({}, '{"index":{"_index":"heka-1970.01.01","_type":"message"}}')
  end)

  it("escapes what it puts in", function()
    check(
      { id = "%{request}" },
      '{"index":{"_index":"heka-1970.01.01","_type":"message","_id":"a\\"b"}}'
    )
  end)
end)
