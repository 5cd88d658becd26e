--[[
Adds up what the hosts say has changed.
--]]
require "circular_buffer"
require "cjson"
local cbufd = require "cbufd"

cbufs = {}

local function init_cbuf(payload_name, data)
    local h = cjson.decode(data.header)
    if not h then return nil end

    local cb = circular_buffer.new(h.rows, h.columns, h.seconds_per_row)
    for i, v in ipairs(h.column_info) do
        cb:set_header(i, v.name, v.unit, v.aggregation)
    end
    cbufs[payload_name] = cb
    return cb
end

function process_message ()
    local payload = read_message("Payload")
    if payload == "" then return 0 end
    local payload_name = read_message("Fields[payload_name]") or ""
    local data = cbufd.grammar:match(payload)
    if not data then return -1, "no cbufd" end

    local cb = cbufs[payload_name] or init_cbuf(payload_name, data)
    if not cb then return -1, "no header" end
    for i, v in ipairs(data) do
        for col, value in ipairs(v) do
            if value == value then -- only what is there
                local name, unit, aggregation = cb:get_header(col)
                if aggregation == "sum" then
                    cb:add(v.time, col, value)
                elseif aggregation == "min" or aggregation == "max" then
                    cb:set(v.time, col, value)
                end
            end
        end
    end
    return 0
end

function timer_event(ns)
    for k, v in pairs(cbufs) do
        inject_payload("cbuf", "Total " .. k, v)
    end
end
