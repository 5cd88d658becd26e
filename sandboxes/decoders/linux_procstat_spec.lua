describe("linux_procstat", function()
  it("reads the file", function()
    local payload = "cpu  1 2 3\ncpu0 1 2 3\nintr 9 0 9\nctxt 77\nprocs_running 2\n"
    local found = sandbox():decode({ Payload = payload, Fields = { FilePath = "/proc/stat" } })[1]
    equal(found.Type, "stats.procstat")
    equal(found.Fields, {
      cpu = { 1, 2, 3 }, cpu0 = { 1, 2, 3 }, intr = { 9, 0, 9 }, ctxt = 77, procs_running = 2,
      FilePath = "/proc/stat",
    })
  end)

  it("fails on other files", function()
    equal(pcall(function()
      sandbox():decode({ Payload = "hello" })
    end), false)
  end)
end)
