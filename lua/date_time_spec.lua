local TEXT = [[
local date_time = require "date_time"
local name = read_config("name")
local grammar = date_time[name] or date_time.build_strftime_grammar(name)
function process_message()
  local t = (grammar * -1):match(read_message("Payload"))
  inject_payload("txt", "", t and date_time.time_to_ns(t) / 1e9)
  return 0
end
function timer_event(ns)
  inject_payload("txt", "", date_time.seconds_to_ns("1.5"))
end
]]

local function check(name, text, expected)
  equal(filter(TEXT, { name = name }):process({ Payload = text })[1].Payload, expected)
end

describe("date_time", function()
  it("reads the formats of logs", function()
    check("rfc3339", "2009-02-13T23:31:30Z", "1234567890")
    check("rfc3339", "2009-02-14T01:31:30.5+02:00", "1234567890.5")
    check("rfc3339", "2009-13-14T01:31:30Z", "nil")
    check("clf_timestamp", "13/Feb/2009:18:31:30 -0500", "1234567890")
    check("mysql_timestamp", "20090213233130", "1234567890")
    check("pgsql_timestamp", "2009-02-13 15:31:30 PST", "1234567890")
    check("rfc3339", "2000-02-29T00:00:00Z", "951782400")
  end)

  it("takes the year of now where none is told", function()
    local found = filter(TEXT, { name = "rfc3164_timestamp" }):process({ Payload = "Jan  1 00:00:01" })
    equal(tonumber(found[1].Payload) % 86400, 1)
  end)

  it("reads what a format prints", function()
    check("%d/%b/%Y:%H:%M:%S %z", "13/Feb/2009:23:31:30 +0000", "1234567890")
    check("%Y-%j %I:%M:%S %p", "2009-044 11:31:30 PM", "1234567890")
    check("%s", "1234567890", "1234567890")
    check("%F %T", "2009-02-13 23:31:30", "1234567890")
    check("%a %b %e %H:%M:%S %Y", "Fri Feb 13 23:31:30 2009", "1234567890")
    equal(pcall(filter, TEXT, { name = "%Q" }), false)
  end)

  it("turns seconds into nanoseconds", function()
    equal(filter(TEXT, { name = "%s" }):timer(0)[1].Payload, "1500000000")
  end)
end)
