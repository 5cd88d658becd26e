--[[
Reads /sys/block/DISK/stat or /proc/diskstats: what was read from and written to disks.

Reads Payload, Fields[FilePath] and Fields[TickerInterval]. Gives a message of Type
`stats.diskstats` for each disk, with the fields ReadsCompleted, ReadsMerged, SectorsRead,
TimeReading, WritesCompleted, WritesMerged, SectorsWritten, TimeWriting, NumIOInProgress,
TimeDoingIO, WeightedTimeDoingIO (counted since the start of the machine, times in ms),
TickerInterval and FilePath; with /proc/diskstats also `device`. Of that file disks alone are
given, no partitions, and only those that were ever used.

    [disks]
    type = "FilePollingInput"
    file_path = "/proc/diskstats"
    ticker_interval = 5
    decoder = "disks_decoder"

    [disks_decoder]
    type = "SandboxDecoder"
    filename = "lua_decoders/linux_diskstats.lua"

    [disks_decoder.config]
    payload_keep = false
--]]

require "string"

local COLUMNS = {
  "ReadsCompleted", "ReadsMerged", "SectorsRead", "TimeReading",
  "WritesCompleted", "WritesMerged", "SectorsWritten", "TimeWriting",
  "NumIOInProgress", "TimeDoingIO", "WeightedTimeDoingIO",
}

local payload_keep = read_config("payload_keep")

local function is_disk(device)
  if string.match(device, "^nvme") or string.match(device, "^mmcblk") then
    return string.match(device, "p%d+$") == nil
  end
  if string.match(device, "^[shv]d%a+") or string.match(device, "^xvd%a+") then
    return string.match(device, "%d$") == nil
  end
  return string.match(device, "^loop") == nil and string.match(device, "^ram") == nil
end

local function inject(counts, device, payload)
  local fields = {
    device = device,
    FilePath = read_message("Fields[FilePath]"),
    TickerInterval = read_message("Fields[TickerInterval]"),
  }
  local column = 0
  for count in string.gmatch(counts, "%d+") do
    column = column + 1
    local name = COLUMNS[column]
    if name then
      fields[name] = tonumber(count)
    end
  end
  if column < #COLUMNS then
    return false
  end
  if not device or fields.ReadsCompleted + fields.WritesCompleted > 0 then
    inject_message({
      Type = "stats.diskstats",
      Payload = payload_keep and payload or "",
      Fields = fields,
    })
  end
  return true
end

function process_message()
  local payload = read_message("Payload")
  local found = string.match(payload, "^[%d%s]+$") and inject(payload, nil, payload)
  for device, counts in string.gmatch(payload, "%d+%s+%d+%s+(%a[^%s]*)([%d%s]-)\n") do
    if is_disk(device) then
      found = inject(counts, device, payload) or found
    end
  end
  if not found then
    return -1, "no line of disk statistics"
  end
  return 0
end
