describe("nginx_stub_status", function()
  it("reads the page", function()
    local page = "Active connections: 291 \nserver accepts handled requests\n"
      .. " 16630948 16630947 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n"
    local found = sandbox():decode({ Payload = page })[1]
    equal(found.Type, "nginx_stub_status")
    equal(found.Fields, {
      connections = 291, accepts = 16630948, handled = 16630947, requests = 31070465, reading = 6,
      writing = 179, waiting = 106,
    })
  end)

  it("fails on other pages", function()
    equal(pcall(function()
      sandbox():decode({ Payload = "404" })
    end), false)
  end)
end)
