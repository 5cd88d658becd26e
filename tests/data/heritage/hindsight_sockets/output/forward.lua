-- Sends messages to a peer, some at a time; connects again where the connection is lost.
require "io"
require "table"
local socket = require "socket"

local address   = read_config("address")
local port_file = read_config("port_file")
local client
local sent = 0

local function connect()
    local fh = io.open(port_file)
    if not fh then return nil, "nobody listens" end
    local port = fh:read("*n")
    fh:close()
    if not port then return nil, "nobody listens yet" end
    local c, err = socket.connect(address, port)
    if c then c:settimeout(10) end
    return c, err
end

function process_message(sequence_id)
    local err
    if not client then
        client, err = connect()
        if not client then return -3, tostring(err) end
    end

    local m = encode_message({
        Type = "forwarded",
        Payload = read_message("Payload"),
        Fields = {
            square = {value = read_message("Fields[square]"), value_type = 2, representation = "units"},
        },
    }, true)
    local i, err, last = client:send(m)
    if not i then
        client:close()
        client = nil
        return -3, err
    end
    sent = sent + 1
    if sent % 2 == 1 then -- the connection is lost after every other message
        client:close()
        client = nil
    end
    return 0
end

function timer_event(ns, shutdown)
    if shutdown and client then client:close() end
end
