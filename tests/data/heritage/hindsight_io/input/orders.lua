-- Reads a file of orders from where it ended the last time.
require "io"

local input_filename = read_config("input_filename")
local decode         = require(read_config("decoder_module")).decode
local send_failures  = read_config("send_decode_failures")

local err_msg = {
    Type    = "error",
    Payload = nil,
    Fields  = {
        data = nil
    }
}
local headers = {
    Logger   = read_config("Logger"),
    Hostname = "shop1",
}
local calls = 0

function process_message(checkpoint)
    local fh, err = io.open(input_filename, "rb")
    if not fh then return -1, err end
    local offset = checkpoint or 0
    assert(type(offset) == "number")
    fh:seek("set", offset)
    calls = calls + 1

    local cnt = 0
    while is_running() do
        local data = fh:read("*l")
        if not data then break end
        local ok, err = pcall(decode, data, headers)
        if (not ok or err) and send_failures then
            err_msg.Payload = err
            err_msg.Fields.data = data
            inject_message(err_msg)
        end
        inject_message(nil, fh:seek())
        cnt = cnt + 1
    end
    fh:close()
    if cnt == 0 then return 0 end
    return 0, string.format("processed %d lines from %d", cnt, offset)
end
