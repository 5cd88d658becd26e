local TEXT = [[
local graphite = require "graphite"
function process_message()
  local seconds = graphite.ns_to_sec(read_message("Timestamp"))
  local kind = read_message("Type")
  local text
  if kind == "counts" then
    text = graphite.multi_counts_rates({ b = 3, a = 6 }, 60, seconds)
  else
    text = graphite.multi_timeseries_metrics({ t = { 30, 10, 20 } }, 3, seconds, 50)
  end
  inject_payload("txt", "", text)
  return 0
end
]]

describe("graphite", function()
  it("gives counts and rates", function()
    equal(
      filter(TEXT):process({ Timestamp = 7e9, Type = "counts" })[1].Payload,
      "a.count 6 7\na.rate 0.100000 7\nb.count 3 7\nb.rate 0.050000 7\n"
    )
  end)

  it("gives what times come to", function()
    equal(
      filter(TEXT):process({ Timestamp = 7e9 })[1].Payload,
      "t.count 3 7\nt.rate 1.000000 7\nt.min 10 7\nt.max 30 7\nt.mean 20.000000 7\n"
        .. "t.mean_50 15.000000 7\nt.max_50 20 7\n"
    )
  end)
end)
