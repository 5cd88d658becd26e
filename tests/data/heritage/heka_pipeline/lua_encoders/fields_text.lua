-- Writes a message as text, with everything there is to see in it.
require "string"

local headers = {"Timestamp", "Type", "Hostname", "Pid", "Logger", "EnvVersion", "Severity", "Payload"}

function process_message()
    for i, v in ipairs(headers) do
        add_to_payload(":", v, ": ", read_message(v), "\n")
    end
    while true do
        local value_type, name, value, representation, count = read_next_field()
        if not value_type then break end
        add_to_payload("| name:", name, " type:", value_type, " value:", value,
                       " representation:", representation, " count:", count, "\n")
    end
    -- every value of every field called tags
    local fi = 0
    while read_message("Fields[tags]", fi) do
        local ai = 0
        local value = read_message("Fields[tags]", fi, ai)
        while value do
            add_to_payload(string.format("tags[%d][%d]=%s\n", fi, ai, value))
            ai = ai + 1
            value = read_message("Fields[tags]", fi, ai)
        end
        fi = fi + 1
    end
    add_to_payload(nil == read_message("Fields[none]"), " ", 0.1 + 0.2, " ", 1/0, " ", -1/0, " ", 2^31, "\n")
    inject_payload("txt", "fields", "--\n")
    return 0
end
