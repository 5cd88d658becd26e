--[[
Puts parts of the message and times into a text.

    local interpolate = require("msg_interpolate").interpolate_from_msg
    interpolate("heka-%{Type}-%{%Y.%m.%d}")   -- heka-nginx-2026.07.14

`%{…}` names Type, Hostname, Pid, UUID, Logger, EnvVersion or Severity; else a field; else it is a
format of os.date; what is none of these stays as it is.
--]]

require "math"
require "os"
require "string"

local HEADERS = {
  Type = "Type",
  Hostname = "Hostname",
  Pid = "Pid",
  UUID = "Uuid",
  Uuid = "Uuid",
  Logger = "Logger",
  EnvVersion = "EnvVersion",
  Severity = "Severity",
}

local M = {}

-- The text with what stands for `%{…}`; times are those of `seconds`, or of the message.
function M.interpolate_from_msg(text, seconds)
  return (
    string.gsub(text, "%%{(.-)}", function(name)
      local value
      if HEADERS[name] then
        value = read_message(HEADERS[name])
      else
        value = read_message("Fields[" .. name .. "]")
      end
      if value ~= nil then
        return tostring(value)
      end
      if string.find(name, "%", 1, true) then
        local time = seconds or math.floor(read_message("Timestamp") / 1e9)
        return os.date("!" .. name, time)
      end
      return nil
    end)
  )
end

return M
