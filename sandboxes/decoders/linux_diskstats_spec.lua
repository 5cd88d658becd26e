local fields = { FilePath = "/proc/diskstats", TickerInterval = 5 }
local text = [[
   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
 254       0 vda 1 2 3 4 5 6 7 8 9 10 11 0 0 0 0 12 13
 254       1 vda1 1 2 3 4 5 6 7 8 9 10 11 0 0 0 0 12 13
 259       0 nvme0n1 9 2 3 4 5 6 7 8 9 10 11
 259       1 nvme0n1p1 9 2 3 4 5 6 7 8 9 10 11
   8      16 sdb 0 0 0 0 0 0 0 0 0 0 0
]]

describe("linux_diskstats", function()
  it("gives the disks of /proc/diskstats that were used", function()
    local messages = sandbox():decode({ Payload = text, Fields = fields })
    equal(#messages, 2)
    equal(messages[2].Fields.device, "nvme0n1")
    equal(messages[1].Type, "stats.diskstats")
    equal(messages[1].Fields, {
      device = "vda",
      FilePath = "/proc/diskstats",
      TickerInterval = 5,
      ReadsCompleted = 1,
      ReadsMerged = 2,
      SectorsRead = 3,
      TimeReading = 4,
      WritesCompleted = 5,
      WritesMerged = 6,
      SectorsWritten = 7,
      TimeWriting = 8,
      NumIOInProgress = 9,
      TimeDoingIO = 10,
      WeightedTimeDoingIO = 11,
    })
  end)

  it("reads the file of one disk", function()
    local messages = sandbox():decode({
      Payload = "    1 2 3 4 5 6 7 8 9 10 11 12\n",
      Fields = { FilePath = "/sys/block/sda/stat", TickerInterval = 10 },
    })
    equal(#messages, 1)
    equal(messages[1].Fields.device, nil)
    equal(messages[1].Fields.WeightedTimeDoingIO, 11)
  end)

  it("fails on anything else", function()
    equal(pcall(function() sandbox():decode({ Payload = "none" }) end), false)
  end)
end)
