--[[
Reads /proc/net/dev: what went through each network interface.

Reads Payload and Fields[FilePath]. Gives a message of Type `stats.netdev` for each interface, with
the fields netdevice, receive_bytes, receive_packets, receive_errs, receive_drop, receive_fifo,
receive_frame, receive_compressed, receive_multicast, transmit_bytes, transmit_packets,
transmit_errs, transmit_drop, transmit_fifo, transmit_colls, transmit_carrier, transmit_compressed
(all integers, counted since the start of the machine) and FilePath.

    [network]
    type = "FilePollingInput"
    file_path = "/proc/net/dev"
    ticker_interval = 5
    decoder = "network_decoder"

    [network_decoder]
    type = "SandboxDecoder"
    filename = "lua_decoders/linux_netdev.lua"

    [network_decoder.config]
    payload_keep = false
--]]

require "string"

local INTEGER = 2
local COLUMNS = {
  "receive_bytes", "receive_packets", "receive_errs", "receive_drop", "receive_fifo",
  "receive_frame", "receive_compressed", "receive_multicast",
  "transmit_bytes", "transmit_packets", "transmit_errs", "transmit_drop", "transmit_fifo",
  "transmit_colls", "transmit_carrier", "transmit_compressed",
}

local payload_keep = read_config("payload_keep")

function process_message()
  local payload = read_message("Payload")
  local path = read_message("Fields[FilePath]")
  local found = false
  for device, counts in string.gmatch(payload, "([^%s:]+):([%d%s]-)\n") do
    local fields = { netdevice = device, FilePath = path }
    local column = 0
    for count in string.gmatch(counts, "%d+") do
      column = column + 1
      local name = COLUMNS[column]
      if name then
        fields[name] = { value = tonumber(count), value_type = INTEGER }
      end
    end
    inject_message({
      Type = "stats.netdev",
      Payload = payload_keep and payload or "",
      Fields = fields,
    })
    found = true
  end
  if not found then
    return -1, "no line of /proc/net/dev"
  end
  return 0
end
