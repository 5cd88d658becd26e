local text = [[
MemTotal:       24689764 kB
MemAvailable:   23914572 kB
Active(anon):      48224 kB
HugePages_Total:       2
]]

describe("linux_memstats", function()
  it("gives a field for every line", function()
    local message = { Payload = text, Fields = { FilePath = "/proc/meminfo" } }
    local messages = sandbox():decode(message)
    equal(#messages, 1)
    equal(messages[1].Type, "stats.memstats")
    equal(messages[1].Fields, {
      MemTotal = 24689764,
      MemAvailable = 23914572,
      ["Active(anon)"] = 48224,
      HugePages_Total = 2,
      FilePath = "/proc/meminfo",
    })
  end)

  it("fails on anything else", function()
    equal(pcall(function() sandbox():decode({ Payload = "" }) end), false)
  end)
end)
