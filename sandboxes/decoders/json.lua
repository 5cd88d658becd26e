--[[
Reads JSON.

Reads Payload. Gives a field for each value, with the path to it as its name; and with `map_fields`
the headers from the members that are named for them.

    [json_decoder]
    type = "SandboxDecoder"
    filename = "lua_decoders/json.lua"

    [json_decoder.config]
    type = "json"
    payload_keep = false
    map_fields = true
    Timestamp = "time"                       # the member that holds it; so for all headers
    timestamp_format = "%Y-%m-%dT%H:%M:%S%z" # without one it is in nanoseconds
    Severity = "level"
    maximum_depth = 3                        # what lies deeper stays JSON
    separator = "."
--]]

require "cjson"

local date_time = require "date_time"
local util = require "util"

-- The headers that can be mapped, and what their values are.
local HEADERS = {
  Payload = "string", Uuid = "string", Type = "string", Logger = "string", Hostname = "string",
  EnvVersion = "string", Severity = "number", Pid = "number",
}

local message_type = read_config("type") or "json"
local payload_keep = read_config("payload_keep")
local map_fields = read_config("map_fields")
local maximum_depth = read_config("maximum_depth")
local separator = read_config("separator") or "."
local timestamp_member = read_config("Timestamp")
local timestamp_format = read_config("timestamp_format")
local timestamp_grammar = timestamp_format and date_time.build_strftime_grammar(timestamp_format)

local members = {}
for header in pairs(HEADERS) do
  members[header] = read_config(header)
end

local function time_of(value)
  if timestamp_grammar then
    local t = type(value) == "string" and timestamp_grammar:match(value)
    return t and date_time.time_to_ns(t)
  end
  return tonumber(value)
end

-- Moves members to the headers; one of another type is lost.
local function map(message, json)
  for header, member in pairs(members) do
    local value = json[member]
    json[member] = nil
    if type(value) == HEADERS[header] then
      message[header] = value
    end
  end
  if timestamp_member then
    message.Timestamp = time_of(json[timestamp_member])
    json[timestamp_member] = nil
  end
end

function process_message()
  local payload = read_message("Payload")
  local ok, json = pcall(cjson.decode, payload)
  if not ok or type(json) ~= "table" then
    return -1, "no JSON"
  end
  local message = { Type = message_type, Payload = payload_keep and payload or "", Fields = {} }
  if map_fields then
    map(message, json)
  end
  util.table_to_fields(json, message.Fields, nil, separator, maximum_depth)
  inject_message(message)
  return 0
end
