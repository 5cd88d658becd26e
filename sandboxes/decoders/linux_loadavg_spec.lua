local line = "0.20 0.18 0.12 3/80 11206\n"

local function decode(config, payload)
  return sandbox(config):decode({ Payload = payload, Fields = { FilePath = "/proc/loadavg" } })
end

describe("linux_loadavg", function()
  it("reads three averages and how many could run", function()
    local messages = decode({}, line)
    equal(#messages, 1)
    equal(messages[1].Type, "stats.loadavg")
    equal(messages[1].Payload, "")
    equal(messages[1].Fields, {
      ["1MinAvg"] = 0.2,
      ["5MinAvg"] = 0.18,
      ["15MinAvg"] = 0.12,
      NumProcesses = 3,
      FilePath = "/proc/loadavg",
    })
  end)

  it("keeps the payload where that is asked for", function()
    equal(decode({ payload_keep = true }, line)[1].Payload, line)
  end)

  it("fails on anything else", function()
    equal(pcall(decode, {}, "load is fine"), false)
  end)
end)
