--[[
Reads /proc/stat: what the processors did.

Reads Payload and Fields[FilePath]. Gives Type `stats.procstat` with a field for each line: cpu, cpu0
and so on, intr and softirq as arrays, ctxt, btime, processes, procs_running, procs_blocked; and
FilePath.

    [stat]
    type = "FilePollingInput"
    file_path = "/proc/stat"
    ticker_interval = 5
    decoder = "stat_decoder"

    [stat_decoder]
    type = "SandboxDecoder"
    filename = "lua_decoders/linux_procstat.lua"

    [stat_decoder.config]
    payload_keep = false
--]]

require "string"

local payload_keep = read_config("payload_keep")

function process_message()
  local payload = read_message("Payload")
  local fields = {}
  for name, numbers in string.gmatch(payload, "([%w_]+)([ %d]+)\n?") do
    local values = {}
    for number in string.gmatch(numbers, "%d+") do
      values[#values + 1] = tonumber(number)
    end
    if #values > 0 then
      fields[name] = values
    end
  end
  if not fields.cpu then
    return -1, "no /proc/stat"
  end
  fields.FilePath = read_message("Fields[FilePath]")
  inject_message({ Type = "stats.procstat", Payload = payload_keep and payload or "", Fields = fields })
  return 0
end
