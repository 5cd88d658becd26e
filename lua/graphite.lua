--[[
Metrics as lines of Graphite's Carbon: `name value seconds`.

    local graphite = require "graphite"
    graphite.count_rate("web", 30, 60, graphite.ns_to_sec(ns))
    graphite.timeseries_metrics("web.time", { 12, 15, 90 }, 60, seconds)
--]]

require "math"
require "string"
require "table"

local M = {}

-- Whole seconds of nanoseconds.
function M.ns_to_sec(ns)
  return math.floor(ns / 1e9)
end

local function line(name, value, seconds)
  return string.format("%s %s %d\n", name, tostring(value), seconds)
end

-- A count and its rate by the second: `name.count` and `name.rate`.
function M.count_rate(name, count, interval, seconds)
  return line(name .. ".count", count, seconds)
    .. line(name .. ".rate", string.format("%f", count / interval), seconds)
end

-- The names of a table in their order, so that the same counts are the same text.
local function names_of(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- The counts and rates of a table of counts by name.
function M.multi_counts_rates(counts, interval, seconds)
  local lines = {}
  for _, name in ipairs(names_of(counts)) do
    lines[#lines + 1] = M.count_rate(name, counts[name], interval, seconds)
  end
  return table.concat(lines)
end

-- What a list of times comes to: count, rate, least, most, mean, and the percentile (95 if none is
-- named) with the mean below it.
function M.timeseries_metrics(name, times, interval, seconds, percentile)
  local text = M.count_rate(name, #times, interval, seconds)
  if #times == 0 then
    return text
  end
  percentile = percentile or 95
  local sorted = { unpack(times) }
  table.sort(sorted)
  local below = math.max(math.ceil(#sorted * percentile / 100), 1)
  local sum, sum_below = 0, 0
  for at, value in ipairs(sorted) do
    sum = sum + value
    if at <= below then
      sum_below = sum_below + value
    end
  end
  return table.concat({
    text,
    line(name .. ".min", sorted[1], seconds),
    line(name .. ".max", sorted[#sorted], seconds),
    line(name .. ".mean", string.format("%f", sum / #sorted), seconds),
    line(name .. ".mean_" .. percentile, string.format("%f", sum_below / below), seconds),
    line(name .. ".max_" .. percentile, sorted[below], seconds),
  })
end

-- The same for a table of lists by name.
function M.multi_timeseries_metrics(series, interval, seconds, percentile)
  local lines = {}
  for _, name in ipairs(names_of(series)) do
    lines[#lines + 1] = M.timeseries_metrics(name, series[name], interval, seconds, percentile)
  end
  return table.concat(lines)
end

return M
