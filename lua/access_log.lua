--[[
The decoder of access logs: what nginx_access and apache_access share.

    process_message = require("access_log")("build_nginx_grammar")

Reads `log_format`, `type`, `user_agent_transform`, `user_agent_keep`, `user_agent_conditional` and
`payload_keep` from the configuration of the script.
--]]

local clf = require "common_log_format"

local log_format = read_config("log_format")
local message_type = read_config("type")
local transform = read_config("user_agent_transform")
local keep = read_config("user_agent_keep")
local conditional = read_config("user_agent_conditional")
local payload_keep = read_config("payload_keep")

local function normalize(fields)
  local agent = fields.http_user_agent
  if not agent then
    return
  end
  local browser, version, system = clf.normalize_user_agent(agent)
  fields.user_agent_browser = browser
  fields.user_agent_version = version
  fields.user_agent_os = system
  if not (keep or (conditional and not browser)) then
    fields.http_user_agent = nil
  end
end

return function(build)
  if not log_format then
    error("the decoder of an access log needs log_format in its config")
  end
  local grammar = clf[build](log_format)
  return function()
    local line = read_message("Payload")
    local fields = grammar:match(line)
    if not fields then
      return -1, "the line does not fit log_format"
    end
    local message = { Timestamp = fields.time, Type = message_type, Fields = fields }
    fields.time = nil
    if transform then
      normalize(fields)
    end
    message.Payload = payload_keep and line or ""
    inject_message(message)
    return 0
  end
end
