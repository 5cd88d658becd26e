local FORMAT = '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"'
local LINE = 'web.example.com - bob [13/Feb/2009:23:31:30 +0000] "GET /a HTTP/1.1" 304 - "-" "curl/8"'

describe("apache_access", function()
  it("reads a line", function()
    local found = sandbox({ log_format = FORMAT, type = "apache.access" }):decode({ Payload = LINE })
    equal(found[1].Type, "apache.access")
    equal(found[1].Timestamp / 1e9, 1234567890)
    equal(found[1].Fields, {
      remote_addr = "web.example.com", remote_ident = "-", remote_user = "bob",
      request = "GET /a HTTP/1.1", status = 304, body_bytes_sent = 0, http_referer = "-",
      http_user_agent = "curl/8",
    })
  end)

  it("fails on other lines", function()
    equal(pcall(function()
      sandbox({ log_format = FORMAT }):decode({ Payload = "x" })
    end), false)
  end)
end)
