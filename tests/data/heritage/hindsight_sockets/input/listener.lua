-- Takes framed messages from whoever connects.
require "io"
local socket = require "socket"

local server = assert(socket.bind(read_config("address"), read_config("port")))
server:settimeout(0)
local ip, port = server:getsockname()
assert(ip == "127.0.0.1")
local fh = assert(io.open(read_config("port_file"), "w"))
fh:write(port)
fh:close()

local sockets = {server}
local readers = {}

local function remove(client)
    for i = #sockets, 2, -1 do
        if sockets[i] == client then table.remove(sockets, i) end
    end
    readers[client] = nil
    client:close()
end

local function read(client)
    local reader = readers[client]
    local buf, err, partial = client:receive(8192)
    if partial then buf = partial end
    if buf and #buf > 0 then
        local found, consumed, need = reader:find_message(buf)
        while found do
            inject_message(reader)
            found, consumed, need = reader:find_message(nil)
        end
    end
    if err == "closed" then remove(client) end
end

function process_message()
    while is_running() do
        local ready = socket.select(sockets, nil, 1)
        if ready then
            for _, s in ipairs(ready) do
                if s == server then
                    local client = s:accept()
                    if client then
                        client:settimeout(0)
                        client:setoption("tcp-nodelay", true)
                        sockets[#sockets + 1] = client
                        readers[client] = create_stream_reader(client:getpeername())
                    end
                else
                    read(s)
                end
            end
        end
    end
    return 0
end
