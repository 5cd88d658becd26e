--[[
Reads /proc/meminfo: the memory of the machine.

Reads Payload and Fields[FilePath]. Gives Type `stats.memstats` with a field for every line, in kB
where the line says so, and FilePath.

    [memory]
    type = "FilePollingInput"
    file_path = "/proc/meminfo"
    ticker_interval = 5
    decoder = "memory_decoder"

    [memory_decoder]
    type = "SandboxDecoder"
    filename = "lua_decoders/linux_memstats.lua"

    [memory_decoder.config]
    payload_keep = false
--]]

require "string"

local payload_keep = read_config("payload_keep")

function process_message()
  local payload = read_message("Payload")
  local fields = {}
  local found = false
  for name, amount, unit in string.gmatch(payload, "([%w_()]+):%s+(%d+) ?(%a*)\n") do
    fields[name] = { value = tonumber(amount), representation = unit }
    found = true
  end
  if not found then
    return -1, "no line of /proc/meminfo"
  end
  fields.FilePath = read_message("Fields[FilePath]")
  inject_message({
    Type = "stats.memstats",
    Payload = payload_keep and payload or "",
    Fields = fields,
  })
  return 0
end
