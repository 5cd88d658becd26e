--[[
Reads the text of circular buffers, cbuf and cbufd.

    local cbufd = require "cbufd"
    local t = cbufd.grammar:match(read_message("Payload"))
    -- t.header is the first line; t[1].time is in nanoseconds, t[1][1] the first column
--]]

local l = require "lpeg"

local eol = l.P("\n")
local number = l.P("-") ^ -1 * l.R("09") ^ 1 * (l.P(".") * l.R("09") ^ 1) ^ -1
  * (l.S("eE") * l.S("+-") ^ -1 * l.R("09") ^ 1) ^ -1
local not_a_number = l.P("-") ^ -1 * l.P("nan") / function()
  return 0 / 0
end
local infinite = l.P("inf") * l.Cc(1 / 0) + l.P("-inf") * l.Cc(-1 / 0)
local value = number / tonumber + infinite + not_a_number
local time = l.Cg(l.R("09") ^ 1 / function(seconds)
  return tonumber(seconds) * 1e9
end, "time")
-- Rows of cbufd begin with their time.
local row = l.Ct(time * (l.P("\t") * value) ^ 1) * (eol + -1)
local annotations = l.P('{"annotations"') * (1 - eol) ^ 0 * eol
local header = l.Cg((l.P("{") * (1 - eol) ^ 0), "header") * eol

local M = {}

M.grammar = l.Ct(annotations ^ -1 * header * row ^ 0) * -1

return M
