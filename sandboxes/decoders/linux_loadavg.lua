--[[
Reads /proc/loadavg: the load of the machine.

Reads Payload and Fields[FilePath]. Gives Type `stats.loadavg` with the fields 1MinAvg, 5MinAvg,
15MinAvg, NumProcesses (those that could run at that moment) and FilePath.

    [load]
    type = "FilePollingInput"
    file_path = "/proc/loadavg"
    ticker_interval = 5
    decoder = "load_decoder"

    [load_decoder]
    type = "SandboxDecoder"
    filename = "lua_decoders/linux_loadavg.lua"

    [load_decoder.config]
    payload_keep = false
--]]

require "string"

local payload_keep = read_config("payload_keep")

local message = { Type = "stats.loadavg", Payload = nil, Fields = {} }

function process_message()
  local payload = read_message("Payload")
  local one, five, fifteen, running = string.match(payload, "^([%d.]+) ([%d.]+) ([%d.]+) (%d+)/%d+")
  if not one then
    return -1, "no line of /proc/loadavg"
  end
  local fields = message.Fields
  fields["1MinAvg"] = tonumber(one)
  fields["5MinAvg"] = tonumber(five)
  fields["15MinAvg"] = tonumber(fifteen)
  fields.NumProcesses = tonumber(running)
  fields.FilePath = read_message("Fields[FilePath]")
  message.Payload = payload_keep and payload or ""
  inject_message(message)
  return 0
end
