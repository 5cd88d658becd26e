-- Tells all there is to tell of a message.
require "string"
require "table"

seen = 0

local headers = {"Type", "Logger", "Payload", "EnvVersion", "Hostname", "Timestamp", "Severity", "Pid"}

local function by_name(name)
    for fi = 0, 2 do
        for ai = 0, 3 do
            local v = read_message("Fields[" .. name .. "]", fi, ai)
            if v ~= nil then add_to_payload(" ", fi, ".", ai, "=", v) end
        end
    end
end

function process_message()
    seen = seen + 1
    for _, name in ipairs(headers) do
        add_to_payload(name, ": ", read_message(name), "\n")
    end
    add_to_payload("Uuid: ", #read_message("Uuid"), " ", #read_message("raw") == read_message("size"), "\n")

    local names, told = {}, {}
    while true do
        local typ, name, value, representation, count = read_next_field()
        if not typ then break end
        if typ == 1 then value = #value end
        names[#names + 1] = string.format("%s %d %s %s %d", name, typ, tostring(value), representation or "", count)
    end
    table.sort(names)
    for i, v in ipairs(names) do
        local name = string.match(v, "^%S+")
        add_to_payload(v)
        if not told[name] and name ~= "bytes" then by_name(name) end
        told[name] = true
        add_to_payload("\n")
    end

    assert(read_message("Fields[none]") == nil and read_message("Nonsense") == nil)
    assert(read_message("Fields[text]", 1) == nil and read_message("Fields[text]", 0, 1) == nil)
    assert(not pcall(read_message, "Type", -1) and not pcall(read_message))
    local msg = decode_message(read_message("raw"))
    for i, v in ipairs(msg.Fields) do
        assert(type(v.value) == "table" and v.value[1] == read_message("Fields[" .. v.name .. "]", v.name == "twice" and i - 1 or 0))
    end
    inject_payload("txt", read_message("Payload"), "seen ", seen, "\n")
    if seen == 2 then return -1, "that is enough" end
    return 0
end

function timer_event(ns, shutdown)
end
