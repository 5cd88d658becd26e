--[[
Finds what is unusual in a column of a circular buffer.

    local anomaly = require "anomaly"
    local config = anomaly.parse_config(read_config("anomaly_config"))
    local message, annotations = anomaly.detect(ns, "title", graph, config)

The configuration is a list of these, with or without spaces between:

    roc("title", column, window, history, deviations, loss_of_data, start_of_data)
    mww("title", column, window, windows, p_value, decreasing | increasing | any)
    mww_nonparametric("title", column, window, windows, p_statistic)

A quote in a title is doubled. Windows are rows; the newest row is still open and never looked at.

- roc: the means of the last two windows differ by more than so many standard deviations of the
  `history` rows before them (0: all of them); or data ended, or began.
- mww: more than a quarter of the windows before the last differ from it by Mann-Whitney's test.
- mww_nonparametric: how often the last window is above those before, on average; above 0.5 finds
  what rises, below 0.5 what falls.
--]]

local l = require "lpeg"

require "math"
require "string"
require "table"

local annotation = require "annotation"

local SECOND = 1e9

-- The grammar of the configuration.

local space = l.S(" \t\r\n") ^ 0
local comma = space * "," * space
local title = '"' * l.Cs((1 - l.P('"') + l.P('""') / '"') ^ 1) * '"'
local digits = l.R("09") ^ 1
local integer = digits / tonumber
local number = digits * ("." * digits) ^ -1 / tonumber
local fraction = l.P("0") ^ -1 * "." * digits / tonumber
local boolean = l.P("true") * l.Cc(true) + l.P("false") * l.Cc(false)
local direction = l.C(l.P("decreasing") + "increasing" + "any")

-- A test: its name, and its arguments in their order.
local function test(name, ...)
  local pattern = l.P(name) * space * "(" * space
    * l.Cg(l.Cc(name), "algorithm") * l.Cg(title, "title")
  for _, argument in ipairs({ ... }) do
    pattern = pattern * comma * l.Cg(argument[2], argument[1])
  end
  return l.Ct(pattern * space * ")")
end

local roc = test("roc", { "col", integer }, { "win", integer }, { "hwin", integer },
  { "sd", number }, { "loss_of_data", boolean }, { "start_of_data", boolean })
local mww = test("mww", { "col", integer }, { "win", integer }, { "nwin", integer },
  { "pvalue", fraction }, { "trend", direction })
local mww_nonparametric = test("mww_nonparametric", { "col", integer }, { "win", integer },
  { "nwin", integer }, { "pstat", fraction })
local grammar = l.Ct(space * ((mww_nonparametric + mww + roc) * space) ^ 1) * -1

-- The tests.

-- From where to where a stretch of closed rows goes that ends `back` rows before the open one.
local function stretch(newest, interval, back, rows)
  return newest - (back + rows - 1) * interval, newest - back * interval
end

local detectors = {}

function detectors.roc(cbuf, test, newest, interval, rows)
  local win = test.win
  if win * 3 >= rows or (test.hwin > 0 and test.hwin < win) then
    error("roc: the windows do not fit into " .. rows .. " rows")
  end
  local start, stop = stretch(newest, interval, 1, win)
  local current, current_rows = cbuf:compute("avg", test.col, start, stop)
  local previous, previous_rows = cbuf:compute("avg", test.col, stretch(newest, interval, win + 1, win))
  if not current_rows or not previous_rows then
    return nil
  end
  if current_rows == 0 then
    return test.loss_of_data and previous_rows > 0 and "no new data" or nil, start
  end
  if previous_rows == 0 then
    return test.start_of_data and "unexpected data" or nil, start
  end
  local oldest = newest - (rows - 1) * interval
  local from, to = stretch(newest, interval, win * 2 + 1, test.hwin)
  if test.hwin == 0 then
    from = oldest
  end
  from = math.max(from, oldest)
  if from > to then
    return nil
  end
  local deviation, history_rows = cbuf:compute("sd", test.col, from, to)
  if not deviation or deviation ~= deviation or history_rows == 0 then
    return nil
  end
  if math.abs(current - previous) > test.sd * deviation then
    return "detected anomaly, standard deviation exceeds " .. test.sd, start
  end
end

-- Calls `look` with each window before the last: its two ends.
local function windows(name, test, newest, interval, rows, look)
  if test.win * test.nwin >= rows then
    error(name .. ": the windows do not fit into " .. rows .. " rows")
  end
  for window = 1, test.nwin - 1 do
    look(stretch(newest, interval, 1 + window * test.win, test.win))
  end
end

function detectors.mww(cbuf, test, newest, interval, rows)
  local start, stop = stretch(newest, interval, 1, test.win)
  local current = cbuf:compute("avg", test.col, start, stop)
  local hits = 0
  windows("mww", test, newest, interval, rows, function(from, to)
    local _, p = cbuf:mannwhitneyu(test.col, from, to, start, stop)
    local before = cbuf:compute("avg", test.col, from, to)
    if p and before and current and p < test.pvalue then
      local trend = current < before and "decreasing" or "increasing"
      if test.trend == "any" or test.trend == trend then
        hits = hits + 1
      end
    end
  end)
  if hits > test.nwin / 4 then
    local trend = test.trend ~= "any" and ", " .. test.trend .. " values" or ""
    return "detected anomaly" .. trend, start
  end
end

function detectors.mww_nonparametric(cbuf, test, newest, interval, rows)
  local start, stop = stretch(newest, interval, 1, test.win)
  local sum, count = 0, 0
  windows("mww_nonparametric", test, newest, interval, rows, function(from, to)
    local u = cbuf:mannwhitneyu(test.col, start, stop, from, to)
    if u then
      sum = sum + u / (test.win * test.win)
      count = count + 1
    end
  end)
  if count == 0 then
    return nil
  end
  local pstat = sum / count
  if (test.pstat > 0.5 and pstat > test.pstat) or (test.pstat < 0.5 and pstat < test.pstat) then
    return string.format("detected anomaly, pstat: %.2g", pstat), start
  end
end

local M = {}

-- The tests in a configuration, by title; nil for none.
function M.parse_config(text)
  if text == nil then
    return nil
  end
  local tests = grammar:match(text)
  if not tests then
    error("could not parse the anomaly_config")
  end
  local by_title = {}
  for _, test in ipairs(tests) do
    local list = by_title[test.title] or {}
    by_title[test.title] = list
    list[#list + 1] = test
  end
  return by_title
end

-- Runs the tests of a title, once for each row of the buffer: what was found, nil for nothing, and
-- the annotations for the graph.
function M.detect(ns, name, cbuf, config)
  local tests = config and config[name]
  local annotations = {}
  if not tests then
    return nil, annotations
  end
  local rows, _, seconds = cbuf:get_configuration()
  local interval, newest = seconds * SECOND, cbuf:current_time()
  local found = {}
  for _, test in ipairs(tests) do
    if test.seen ~= newest then
      test.seen = newest
      local text, at = detectors[test.algorithm](cbuf, test, newest, interval, rows)
      if text then
        found[#found + 1] = string.format(
          "%s - algorithm: %s col: %d msg: %s", name, test.algorithm, test.col, text)
        annotations[#annotations + 1] = annotation.create(at or ns, test.col, "A", text)
      end
    end
  end
  return found[1] and table.concat(found, "\n") or nil, annotations
end

return M
