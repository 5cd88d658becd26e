--[[
Numbers as lines of DogStatsD, for UdpOutput.

Reads the fields that are numbers, and tags. No output when there is none.

    [dogstatsd]
    type = "SandboxEncoder"
    filename = "lua_encoders/dogstatsd.lua"

    [dogstatsd.config]
    metric_prefix = "heka."
    metric_type = "g"            # g, c, ms, h, d or s
    fields = ""                  # which numbers, all when empty
    tags = "Hostname env"
--]]

require "string"
require "table"

local message_fields = require "message_fields"

local prefix = read_config("metric_prefix") or ""
local metric_type = read_config("metric_type") or "g"
local names, tags = read_config("fields"), read_config("tags")

-- What would end a name or a tag.
local function clean(text)
  return (string.gsub(text, "[:|#@,\n]", "_"))
end

function process_message()
  local own = message_fields.tags(tags)
  for at, tag in ipairs(own) do
    own[at] = string.gsub(tag, "[|#@,\n]", "_")
  end
  local ending = "|" .. metric_type .. (#own > 0 and "|#" .. table.concat(own, ",") or "")
  local lines = {}
  for at, number in ipairs(message_fields.numbers(names)) do
    lines[at] = clean(prefix .. number.name) .. ":" .. tostring(number.value) .. ending
  end
  if #lines == 0 then
    return -2
  end
  inject_payload("txt", "", table.concat(lines, "\n"), "\n")
  return 0
end
