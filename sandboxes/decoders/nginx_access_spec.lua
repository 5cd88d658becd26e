local FORMAT = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
local LINE = '10.0.0.1 - - [13/Feb/2009:23:31:30 +0000] "GET /a HTTP/1.1" 404 12 "-" "curl/8"'

describe("nginx_access", function()
  it("reads a line", function()
    local found = sandbox({ log_format = FORMAT, type = "nginx.access" }):decode({ Payload = LINE })
    equal(#found, 1)
    equal(found[1].Type, "nginx.access")
    equal(found[1].Timestamp / 1e9, 1234567890)
    equal(found[1].Payload, "")
    equal(found[1].Fields, {
      remote_addr = "10.0.0.1", remote_user = "-", request = "GET /a HTTP/1.1", status = 404,
      body_bytes_sent = 12, http_referer = "-", http_user_agent = "curl/8",
    })
  end)

  it("takes the end of the line for no part of it", function()
    local script = sandbox({ log_format = FORMAT })
    equal(script:decode({ Payload = LINE .. "\n" })[1].Fields.http_user_agent, "curl/8")
    script = sandbox({ log_format = "[$time_local] $request" })
    local found = script:decode({ Payload = "[13/Feb/2009:23:31:30 +0000] GET /\r\n" })[1]
    equal(found.Fields.request, "GET /")
  end)

  it("keeps the line if it is told to", function()
    local script = sandbox({ log_format = FORMAT, payload_keep = true })
    equal(script:decode({ Payload = LINE })[1].Payload, LINE)
  end)

  it("fails on other lines", function()
    equal(pcall(function()
      sandbox({ log_format = FORMAT }):decode({ Payload = "x" })
    end), false)
  end)
end)
