-- Gathers orders and writes a few at a time.
require "io"
require "string"
require "table"

local output_dir  = read_config("output_dir") or "/tmp"
local flush_count = read_config("flush_count") or 100
local names       = read_config("names")
assert(type(names) == "table", "names must be a table")

local batch = {}
local batch_count = 0

local function flush()
    local fh, err = io.open(output_dir .. "ledger.txt", "a")
    if not fh then return -3, err end
    fh:write(table.concat(batch))
    fh:close()
    batch = {}
    batch_count = 0
    return 0
end

function process_message(sequence_id)
    local name = names[read_message("Fields[item]")]
    if not name then return -2 end

    batch_count = batch_count + 1
    batch[batch_count] = string.format("%03d\t%s\t%.2f\n",
        read_message("Fields[id]"), name, read_message("Fields[price]"))
    if batch_count >= flush_count then
        return flush()
    end
    return -4
end

function timer_event(ns, shutdown)
    if batch_count > 0 and flush() == 0 then
        update_checkpoint()
    end
end
