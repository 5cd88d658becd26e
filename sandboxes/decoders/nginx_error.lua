--[[
Reads the error log of Nginx.

Reads Payload. Gives Timestamp, Severity, Pid, the text as Payload, and the fields tid and connection.

    [error_log]
    type = "LogstreamerInput"
    log_directory = "/var/log/nginx"
    file_match = 'error\.log'
    decoder = "nginx_error"

    [nginx_error]
    type = "SandboxDecoder"
    filename = "lua_decoders/nginx_error.lua"

    [nginx_error.config]
    tz = "UTC"            # the zone of the times in the log
    type = "nginx.error"
    payload_keep = false  # the whole line as Payload
--]]

local grammar = require("common_log_format").nginx_error_grammar

local message_type = read_config("type") or "nginx.error"
local payload_keep = read_config("payload_keep")

function process_message()
  local line = read_message("Payload")
  local message = grammar:match(line)
  if not message then
    return -1, "no line of Nginx's error log"
  end
  message.Type = message_type
  if payload_keep then
    message.Payload = line
  end
  inject_message(message)
  return 0
end
