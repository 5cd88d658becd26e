-- Appends payloads to a file.
require "io"

local path = read_config("path") or error("path must be set")
local fh, err = io.open(path, "a")
if not fh then error(err) end
fh:setvbuf("full", 4096)

function process_message()
    local ok, msg = fh:write(read_message("Hostname"), ": ", read_message("Payload"), "\n")
    if not ok then return -1, msg end
    fh:flush()
    return 0
end
