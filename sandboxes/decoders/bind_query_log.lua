--[[
Reads BIND's log of queries.

Reads Payload. Gives Timestamp and the fields QueryFlags (an array), ClientIP, ClientEphemeralPort,
ServerRespondingIP, RecordType, RecordClass, QueryName, QueryDomain and FullQuery.

    [queries]
    type = "LogstreamerInput"
    log_directory = "/var/log/named"
    file_match = 'queries\.log'
    decoder = "bind_query_log"

    [bind_query_log]
    type = "SandboxDecoder"
    filename = "lua_decoders/bind_query_log.lua"

    [bind_query_log.config]
    type = "bind.query"
--]]

local grammar = require("bind").query_log_grammar

local INFORMATIONAL = 6

local message_type = read_config("type")

function process_message()
  local message = grammar:match(read_message("Payload"))
  if not message then
    return -1, "no line of a log of queries"
  end
  message.Type = message_type
  message.Severity = INFORMATIONAL
  inject_message(message)
  return 0
end
