--[[
Reads GELF, the JSON of Graylog.

Reads Payload. Gives Timestamp, EnvVersion from version, Severity from level, Hostname from host, and
everything else as fields: short_message, full_message and those that begin with `_`.

    [graylog]
    type = "UdpInput"
    address = ":12201"
    decoder = "graylog_extended"

    [graylog_extended]
    type = "SandboxDecoder"
    filename = "lua_decoders/graylog_extended.lua"

    [graylog_extended.config]
    type = "graylog"
    payload_keep = false
--]]

require "cjson"

local date_time = require "date_time"
local util = require "util"

local message_type = read_config("type")
local payload_keep = read_config("payload_keep")

function process_message()
  local payload = read_message("Payload")
  local ok, gelf = pcall(cjson.decode, payload)
  if not ok or type(gelf) ~= "table" then
    return -1, "no JSON"
  end
  local take = function(name)
    local value = gelf[name]
    gelf[name] = nil
    return value
  end
  local seconds = tonumber(take("timestamp"))
  local version, host = take("version"), take("host")
  local message = {
    Type = message_type,
    Payload = payload_keep and payload or "",
    Timestamp = seconds and date_time.seconds_to_ns(seconds),
    EnvVersion = version and tostring(version),
    Severity = tonumber(take("level")),
    Hostname = host and tostring(host),
    Fields = {},
  }
  util.table_to_fields(gelf, message.Fields)
  inject_message(message)
  return 0
end
