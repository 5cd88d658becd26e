--[[
Alerts as text that people read.

Reads Timestamp, Hostname, Logger and Payload. Gives lines with the time, the host, the plugin and
the alert.

    [alerts]
    type = "LogOutput"
    message_matcher = "Fields[payload_type] == 'alert'"
    encoder = "alert_encoder"

    [alert_encoder]
    type = "SandboxEncoder"
    filename = "lua_encoders/alert.lua"
--]]

require "math"
require "os"

function process_message()
  local seconds = math.floor(read_message("Timestamp") / 1e9)
  inject_payload("txt", "alert",
    "Timestamp: ", os.date("!%Y-%m-%dT%H:%M:%SZ", seconds),
    "\nHostname: ", read_message("Hostname") or "",
    "\nPlugin: ", read_message("Logger") or "",
    "\nAlert: ", read_message("Payload") or "", "\n")
  return 0
end
