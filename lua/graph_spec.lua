local TEXT = [[
require "circular_buffer"
local graph = require "graph"
local stats = circular_buffer.new(graph.rows, 1, graph.sec_per_row)
function process_message()
  stats:add(read_message("Timestamp"), 1, 1)
  return 0
end
function timer_event(ns)
  graph.send(ns, "Stats", stats)
end
]]

describe("graph", function()
  it("is sent as it is without tests", function()
    local script = filter(TEXT, { rows = 2, sec_per_row = 1 })
    local found = script:timer(1e9)
    equal(#found, 1)
    equal(found[1].Fields, { payload_type = "cbuf", payload_name = "Stats" })
    equal(string.match(found[1].Payload, "\n(.*)$"), "nan\nnan\n")
  end)

  it("alerts once and is annotated as long as it shows the row", function()
    local script = filter(TEXT, {
      rows = 10,
      sec_per_row = 1,
      anomaly_config = 'roc("Stats",1,2,0,1,true,false)',
    })
    for second = 1, 10 do
      script:process({ Timestamp = second * 1e9 })
    end
    script:process({ Timestamp = 13e9 })
    local found = script:timer(13e9)
    equal(found[1].Payload, "Stats - algorithm: roc col: 1 msg: no new data")
    equal(string.find(found[2].Payload, "annotations", 1, true) ~= nil, true)
    found = script:timer(30e9)
    equal(#found, 1)
    equal(string.find(found[1].Payload, "annotations", 1, true), nil)
  end)
end)
