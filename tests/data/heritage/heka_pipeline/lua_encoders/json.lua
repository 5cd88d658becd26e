-- One object a line; successful operations that took no time are left out.
require "cjson"
require "math"
require "os"

local environment = read_config("environment") or "production"

function process_message()
    local took = read_message("Fields[took]")
    if took < 1 then return -2 end

    local ns = read_message("Timestamp")
    local line = {
        ["@timestamp"] = os.date("!%Y-%m-%dT%H:%M:%S", math.floor(ns / 1e9)),
    }
    -- one key each, so that the order is no matter
    inject_payload("json", "line", cjson.encode(line), " ",
        cjson.encode({[environment] = math.pow(took, 2)}), " ",
        cjson.encode({read_message("Fields[tags]", 0, 0), read_message("Fields[action]", 0, 1)}), "\n")
    return 0
end
