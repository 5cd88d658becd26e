--[[
Parses the log of the ACME applications.

Config:

- type (string, optional, default nil):
    Sets the message 'Type' header to the specified value

- payload_keep (bool, optional, default false)
    Always preserve the original log line in the message payload.
--]]

local dt = require "date_time"
local l  = require "lpeg"
l.locale(l)

local msg_type     = read_config("type")
local payload_keep = read_config("payload_keep")

local sp       = l.P" "
local name     = l.C((l.alnum + l.S"_-.")^1)
local number   = l.C(l.digit^1 * (l.P"." * l.digit^1)^-1) / tonumber
local tag      = l.C((l.P(1) - l.S", ")^1)
local tags     = l.Ct((tag * (l.P"," * tag)^0)^-1)
local quoted   = l.P'"' * l.Cs((l.P'""' / '"' + (1 - l.P'"'))^0) * l.P'"'
local duration = l.Ct(l.Cg(number, "value") * l.Cg(l.C(l.alpha^1), "representation"))

local grammar = l.Ct(
    l.Cg(dt.rfc3339, "timestamp")
    * sp * l.Cg(name, "hostname")
    * sp * l.Cg(name, "logger") * "[" * l.Cg(l.digit^1 / tonumber, "pid") * "]:"
    * sp * l.Cg(l.upper^1, "severity")
    * sp * l.Cg(name, "operation")
    * sp * "took=" * l.Cg(duration, "took")
    * sp * "size=" * l.Cg(number, "size")
    * sp * "tags=" * l.Cg(tags, "tags")
    * sp * l.Cg(quoted, "text")
    * l.P"\n"^-1 * -1)

local msg = {
    Timestamp   = nil,
    Type        = msg_type,
    Hostname    = nil,
    Logger      = nil,
    Payload     = nil,
    Pid         = nil,
    Fields      = nil
}

function process_message ()
    local log = read_message("Payload")
    local f = grammar:match(log)
    if not f then return -1, "no application log line" end

    msg.Timestamp = dt.time_to_ns(f.timestamp)
    msg.Hostname  = f.hostname
    msg.Logger    = f.logger
    msg.Pid       = f.pid
    msg.Payload   = payload_keep and log or f.text
    msg.Fields    = {
        {name = "level", value = f.severity},
        {name = "operation", value = f.operation},
        {name = "took", value = f.took.value, representation = f.took.representation},
        {name = "size", value = f.size, value_type = 2, representation = "count"},
    }
    if table.getn(f.tags) > 0 then
        msg.Fields[#msg.Fields + 1] = {name = "tags", value = f.tags}
        -- the same name once more, as the array form allows
        table.insert(msg.Fields, {name = "tags", value = tostring(#f.tags)})
    end

    if not pcall(inject_message, msg) then return -1 end
    return 0
end
