local text = [[
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0          0
  eth0:5461211    3862    1    2    3     4          5         6   281206    2763    7    8    9     10      11         12
]]

describe("linux_netdev", function()
  it("gives a message for each interface", function()
    local message = { Payload = text, Fields = { FilePath = "/proc/net/dev" } }
    local messages = sandbox():decode(message)
    equal(#messages, 2)
    equal(messages[1].Fields.netdevice, "lo")
    equal(messages[2].Type, "stats.netdev")
    equal(messages[2].Fields, {
      netdevice = "eth0",
      FilePath = "/proc/net/dev",
      receive_bytes = 5461211,
      receive_packets = 3862,
      receive_errs = 1,
      receive_drop = 2,
      receive_fifo = 3,
      receive_frame = 4,
      receive_compressed = 5,
      receive_multicast = 6,
      transmit_bytes = 281206,
      transmit_packets = 2763,
      transmit_errs = 7,
      transmit_drop = 8,
      transmit_fifo = 9,
      transmit_colls = 10,
      transmit_carrier = 11,
      transmit_compressed = 12,
    })
  end)

  it("fails on anything else", function()
    equal(pcall(function() sandbox():decode({ Payload = "none" }) end), false)
  end)
end)
