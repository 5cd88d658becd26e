-- A decoder module in Hindsight's manner.

--[[
## Functions
### decode
Decodes one line of orders and injects the message.

*Arguments*
- data (string) - the line
- default_headers (table, optional) - headers that the line does not have

*Return*
- nil, or a text that says what is wrong; throws on an invalid inject
--]]

-- Imports
local module_name  = ...
local string       = require "string"
local module_cfg   = string.gsub(module_name, "%.", "_")
local l            = require "lpeg"
local cfg          = read_config(module_cfg) or {}

local assert         = assert
local inject_message = inject_message
local ipairs         = ipairs
local pairs          = pairs
local tonumber       = tonumber

local M = {}
setfenv(1, M) -- remove external access to contain everything in the module

local cell = l.C((1 - l.S",\n")^0)
local row  = l.Ct(cell * ("," * cell)^0) * l.P"\n"^-1 * -1

function decode(data, default_headers)
    local cells = row:match(data)
    if not cells or #cells ~= #cfg.columns then return "wrong number of columns: " .. data end

    local msg = {Type = cfg.Type, Fields = {}}
    if default_headers then
        for k, v in pairs(default_headers) do msg[k] = v end
    end
    for i, name in ipairs(cfg.columns) do
        msg.Fields[name] = tonumber(cells[i]) or cells[i]
    end
    msg.Payload = data
    inject_message(msg)
end

return M
