local TEXT = [[
require "circular_buffer"
local anomaly = require "anomaly"
local config = anomaly.parse_config(read_config("anomaly_config"))
graph = circular_buffer.new(20, 1, 1)
function process_message()
  graph:set(read_message("Timestamp"), 1, read_message("Fields[n]"))
  return 0
end
function timer_event(ns)
  local message, annotations = anomaly.detect(ns, "a \"b\"", graph, config)
  inject_payload("txt", "", message or "none", " ", #annotations)
end
]]

-- Feeds a row a second; nil leaves one empty.
local function check(config, rows, expected)
  local script = filter(TEXT, { anomaly_config = config })
  for second = 1, 20 do
    local value = rows(second)
    if value then
      script:process({ Timestamp = second * 1e9, Fields = { n = value } })
    end
  end
  equal(script:timer(20e9)[1].Payload, expected)
  equal(script:timer(20e9)[1].Payload, "none 0")
end

local function steady(second)
  return 10 + second % 2
end

describe("anomaly", function()
  local roc = 'roc("a ""b""",1,3,0,1.5,true,true)'

  it("finds a jump by its rate", function()
    check(roc, function(second)
      return second > 16 and 100 or steady(second)
    end, 'a "b" - algorithm: roc col: 1 msg: detected anomaly, standard deviation exceeds 1.5 1')
    check(roc, steady, "none 0")
  end)

  it("finds that data ended or began", function()
    check(roc, function(second)
      return (second < 17 or second == 20) and steady(second) or nil
    end, 'a "b" - algorithm: roc col: 1 msg: no new data 1')
    check(roc, function(second)
      return second > 16 and steady(second) or nil
    end, 'a "b" - algorithm: roc col: 1 msg: unexpected data 1')
  end)

  it("finds a shift by Mann and Whitney", function()
    local falls = function(second)
      return second > 15 and 20 - second or 40 - second
    end
    check('mww("a ""b""", 1, 4, 4, 0.05, decreasing)', falls,
      'a "b" - algorithm: mww col: 1 msg: detected anomaly, decreasing values 1')
    check('mww("a ""b""", 1, 4, 4, 0.05, increasing)', falls, "none 0")
    check('mww_nonparametric("a ""b""", 1, 4, 4, 0.3)', falls,
      'a "b" - algorithm: mww_nonparametric col: 1 msg: detected anomaly, pstat: 0 1')
    check('mww_nonparametric("a ""b""", 1, 4, 4, 0.7)', falls, "none 0")
  end)

  it("takes several tests", function()
    check('roc("x",1,3,0,1.5,true,true) ' .. roc .. roc, function(second)
      return second > 16 and steady(second) or nil
    end, 'a "b" - algorithm: roc col: 1 msg: unexpected data\n'
      .. 'a "b" - algorithm: roc col: 1 msg: unexpected data 2')
  end)

  it("refuses what it cannot read", function()
    local ok, message = pcall(filter, TEXT, { anomaly_config = "roc(1)" })
    equal(ok, false)
    equal(string.find(tostring(message), "could not parse the anomaly_config", 1, true) ~= nil, true)
  end)
end)
