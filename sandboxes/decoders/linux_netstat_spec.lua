describe("linux_netstat", function()
  it("pairs names and numbers", function()
    local payload = "Ip: Forwarding InReceives\nIp: 1 3051\nTcp: MaxConn\nTcp: -1\n"
    local found = sandbox({ payload_keep = true }):decode({ Payload = payload })[1]
    equal(found.Type, "stats.netstat")
    equal(found.Payload, payload)
    equal(found.Fields, { Ip_Forwarding = 1, Ip_InReceives = 3051, Tcp_MaxConn = -1 })
  end)

  it("fails on other files", function()
    equal(pcall(function()
      sandbox():decode({ Payload = "hello" })
    end), false)
  end)
end)
