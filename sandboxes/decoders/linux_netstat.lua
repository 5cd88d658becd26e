--[[
Reads /proc/net/snmp and /proc/net/netstat: the counters of the protocols.

Reads Payload and Fields[FilePath]. Gives Type `stats.netstat` with a field for each counter, as an
integer: Ip_InReceives, Tcp_RetransSegs and so on; and FilePath.

    [snmp]
    type = "FilePollingInput"
    file_path = "/proc/net/snmp"
    ticker_interval = 5
    decoder = "netstat_decoder"

    [netstat_decoder]
    type = "SandboxDecoder"
    filename = "lua_decoders/linux_netstat.lua"

    [netstat_decoder.config]
    payload_keep = false
--]]

require "string"

local INTEGER = 2

local payload_keep = read_config("payload_keep")

function process_message()
  local payload = read_message("Payload")
  local fields = {}
  local found = false
  -- A line of names, then one of numbers.
  for group, names, again, numbers in string.gmatch(payload, "(%w+): ([^\n]*)\n(%w+): ([^\n]*)") do
    if group ~= again then
      return -1, "the lines of " .. group .. " are no pair"
    end
    local next_number = string.gmatch(numbers, "%S+")
    for name in string.gmatch(names, "%S+") do
      local number = tonumber(next_number())
      if number then
        fields[group .. "_" .. name] = { value = number, value_type = INTEGER }
        found = true
      end
    end
  end
  if not found then
    return -1, "no /proc/net/snmp"
  end
  fields.FilePath = read_message("Fields[FilePath]")
  inject_message({ Type = "stats.netstat", Payload = payload_keep and payload or "", Fields = fields })
  return 0
end
