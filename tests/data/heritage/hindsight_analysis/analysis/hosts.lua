--[[
Visits by host: a table, a graph and the number of different users; a message when a host has had too many seconds.
--]]
_PRESERVATION_VERSION = read_config("preservation_version") or 0

require "circular_buffer"
require "cjson"
require "hyperloglog"
require "string"
require "table"

local alert_cfg  = read_config("alert")
local thresholds = alert_cfg.thresholds
for host, cfg in pairs(thresholds) do
    assert(type(cfg.max_seconds) == "number", host .. ": max_seconds must be a number")
    cfg.contacts = cfg.contacts or {}
end

hosts = {}
users = hyperloglog.new()
graph = circular_buffer.new(4, 2, 600)
local COLUMNS = {web0 = graph:set_header(1, "web0"), web1 = graph:set_header(2, "web1")}
local updated = false

function process_message()
    local name = read_message("Hostname")
    local host = hosts[name]
    if not host then
        host = {visits = 0, seconds = 0, alerted = false}
        hosts[name] = host
    end
    if read_message("size") ~= #read_message("raw") then return -1, "size" end
    host.visits  = host.visits + 1
    host.seconds = host.seconds + read_message("Fields[seconds]")
    users:add(read_message("Fields[user]"))
    graph:add(read_message("Timestamp"), COLUMNS[name], 1)
    updated = true

    local threshold = thresholds[name]
    if not alert_cfg.disabled and threshold and host.seconds > threshold.max_seconds and not host.alerted then
        host.alerted = true
        inject_message({
            Type = "alert",
            Payload = name .. " has had more than " .. threshold.max_seconds .. " seconds",
            Severity = 2,
            Fields = {
                payload_name = "alert",
                payload_type = "txt",
                recipients = threshold.contacts,
                visits = {value = host.visits, value_type = 2},
            },
        })
    end
    return 0
end

function timer_event(ns, shutdown)
    if shutdown then
        inject_payload("txt", "final", "users ", users:count(), "\n")
        return
    end
    if not updated then return end
    updated = false

    local names = {}
    for name in pairs(hosts) do names[#names + 1] = name end
    table.sort(names)
    add_to_payload("host\tvisits\tseconds\n")
    for _, name in ipairs(names) do
        add_to_payload(name, "\t", hosts[name].visits, "\t", hosts[name].seconds, "\n")
    end
    inject_payload("tsv", "hosts")
    inject_payload("cbuf", "visits", graph)
    local _, unit = graph:get_header(1)
    local sum = 0
    for _, v in ipairs({graph:get(1500000600e9, 1), graph:get(1500000600e9, 2)}) do sum = sum + v end
    inject_payload("json", "sums", cjson.encode({[unit] = sum}), "\n")
end
