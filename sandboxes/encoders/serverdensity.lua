--[[
Numbers as the agents of ServerDensity posted them. The service ended; what took its place may still
take its payload, and this is the form of it.

Reads Timestamp, Hostname and the fields that are numbers. No output when there is none.

    [serverdensity]
    type = "SandboxEncoder"
    filename = "lua_encoders/serverdensity.lua"

    [serverdensity.config]
    agent_key = "0123456789abcdef0123456789abcdef"
    metric_prefix = "heka."
    fields = ""                  # which numbers, all when empty
--]]

require "cjson"

local message_fields = require "message_fields"

local agent_key = read_config("agent_key") or error("agent_key is missing")
local prefix = read_config("metric_prefix") or ""
local names = read_config("fields")

function process_message()
  local host = read_message("Hostname") or ""
  local metrics = {}
  for at, number in ipairs(message_fields.numbers(names)) do
    local about = { type = "gauge", hostname = host }
    metrics[at] = { prefix .. number.name, message_fields.seconds(), number.value, about }
  end
  if #metrics == 0 then
    return -2
  end
  inject_payload("json", "", cjson.encode({
    agentKey = agent_key,
    internalHostname = host,
    collection_timestamp = message_fields.seconds(),
    os = "linux",
    metrics = metrics,
  }))
  return 0
end
