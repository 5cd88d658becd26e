--[[
Alerts when a plugin begins to fail more often.

Reads messages of Type `heka.all-report`: JSON in Payload with ProcessMessageFailures of each plugin,
a counter. Gives alerts, for a plugin one an hour at most.

    [process_message_failures]
    type = "SandboxFilter"
    filename = "lua_filters/heka_process_message_failures.lua"
    message_matcher = "Type == 'heka.all-report'"
    ticker_interval = 60
    preserve_data = true

    [process_message_failures.config]
    anomaly_config = 'mww_nonparametric("DEFAULT", 1, 5, 10, 0.7)'  # or with the name of a plugin
--]]

require "circular_buffer"
require "cjson"
require "table"

local alert = require "alert"
local anomaly = require "anomaly"

local HOUR = 3600 * 1e9
local ROWS, SEC_PER_ROW = 60, 60

local config = anomaly.parse_config(
  read_config("anomaly_config") or 'mww_nonparametric("DEFAULT", 1, 5, 10, 0.7)'
)

-- For each plugin: its failures by minute, the counter, and when it was last alerted of.
plugins = {}

-- The tests of one plugin. Each has its own, for a test remembers what it has seen.
local tests = {}

local function tests_of(name)
  if not tests[name] then
    local copy = {}
    for at, test in ipairs(config[name] or config.DEFAULT or {}) do
      copy[at] = {}
      for key, value in pairs(test) do
        copy[at][key] = value
      end
    end
    tests[name] = { [name] = copy }
  end
  return tests[name]
end

local function count(ns, name, failures)
  local plugin = plugins[name]
  if not plugin then
    plugin = { failures = circular_buffer.new(ROWS, 1, SEC_PER_ROW), alerted = 0 }
    plugin.failures:set_header(1, "Failures")
    plugins[name] = plugin
  end
  if plugin.total and failures >= plugin.total then
    plugin.failures:add(ns, 1, failures - plugin.total)
  end
  plugin.total = failures
end

function process_message()
  local ok, report = pcall(cjson.decode, read_message("Payload") or "")
  if not ok or type(report) ~= "table" then
    return -1, "no report"
  end
  local ns = read_message("Timestamp")
  for _, family in pairs(report) do
    for _, plugin in ipairs(type(family) == "table" and family or {}) do
      local failures = plugin.ProcessMessageFailures
      if type(failures) == "table" then
        failures = failures.value
      end
      if type(failures) == "number" and plugin.Name then
        count(ns, plugin.Name, failures)
      end
    end
  end
  return 0
end

function timer_event(ns)
  local names = {}
  for name in pairs(plugins) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local plugin = plugins[name]
    local message = anomaly.detect(ns, name, plugin.failures, tests_of(name))
    if message and (plugin.alerted == 0 or ns > plugin.alerted + HOUR) then
      plugin.alerted = ns
      alert.queue(0, message)
    end
  end
  alert.send_queue(0)
end
