--[[
Payloads that are JSON already, for Elasticsearch's bulk API.

Reads Payload, Timestamp and what `index`, `type_name` and `id` name with `%{…}`. Gives the line
that says where the document goes, and the payload.

    [es_payload]
    type = "SandboxEncoder"
    filename = "lua_encoders/es_payload.lua"

    [es_payload.config]
    index = "heka-%{%Y.%m.%d}"
    type_name = "message"
    id = "%{UUID}"
    es_index_from_timestamp = true   # times in `index` are those of the message, not now
--]]

require "string"

local elasticsearch = require "elasticsearch"

local index = read_config("index") or "heka-%{%Y.%m.%d}"
local type_name = read_config("type_name") or "message"
local id = read_config("id")
local from_timestamp = read_config("es_index_from_timestamp")

function process_message()
  local ns = from_timestamp and read_message("Timestamp") or nil
  local payload = read_message("Payload") or ""
  local line = elasticsearch.bulkapi_index_json(index, type_name, id, ns)
  -- A document is one line, and a line ends.
  if string.sub(payload, -1) ~= "\n" then
    payload = payload .. "\n"
  end
  inject_payload("json", "", line, "\n", payload)
  return 0
end
