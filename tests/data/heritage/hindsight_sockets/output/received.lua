-- Writes what has arrived, in order of its length: several connections have none.
require "io"
require "table"

local output_file = read_config("output_file")
local lines = {}

function process_message()
    local msg = decode_message(read_message("raw"))
    local field = msg.Fields[1]
    assert(field.name == "square" and field.value_type == 2 and field.representation == "units")
    lines[#lines + 1] = msg.Payload .. " " .. field.value[1] .. " " .. msg.Logger
    if #lines == 5 then
        table.sort(lines)
        local fh = assert(io.open(output_file, "w"))
        fh:write(table.concat(lines, "\n"), "\n")
        fh:close()
    end
    return 0
end

function timer_event(ns, shutdown)
end
