--[[
Reads the page of Nginx's stub_status module.

Reads Payload. Gives the fields connections, accepts, handled, requests, reading, writing and waiting.

    [nginx_status]
    type = "ProcessInput"
    ticker_interval = 10
    splitter = "NullSplitter"
    decoder = "nginx_stub_status"

    [nginx_status.command.0]
    bin = "/usr/bin/curl"
    args = ["--silent", "http://localhost:8090/nginx_status"]

    [nginx_stub_status]
    type = "SandboxDecoder"
    filename = "lua_decoders/nginx_stub_status.lua"

    [nginx_stub_status.config]
    type = "nginx_stub_status"
    payload_keep = false
--]]

require "string"

local message_type = read_config("type") or "nginx_stub_status"
local payload_keep = read_config("payload_keep")

local NAMES = { "connections", "accepts", "handled", "requests", "reading", "writing", "waiting" }

local PAGE = "^Active connections: (%d+)%s+server accepts handled requests%s+(%d+) (%d+) (%d+)%s+"
  .. "Reading: (%d+) Writing: (%d+) Waiting: (%d+)"

function process_message()
  local page = read_message("Payload")
  local values = { string.match(page, PAGE) }
  if #values ~= #NAMES then
    return -1, "no page of stub_status"
  end
  local fields = {}
  for at, name in ipairs(NAMES) do
    fields[name] = tonumber(values[at])
  end
  inject_message({ Type = message_type, Payload = payload_keep and page or "", Fields = fields })
  return 0
end
