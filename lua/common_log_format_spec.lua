local TEXT = [[
local clf = require "common_log_format"
local grammar
if read_config("nginx") then
  grammar = clf.build_nginx_grammar(read_config("nginx"))
elseif read_config("apache") then
  grammar = clf.build_apache_grammar(read_config("apache"))
end
function process_message()
  local text = read_message("Payload")
  if not grammar then
    local browser, version, system = clf.normalize_user_agent(text)
    inject_payload("txt", "", browser, " ", version, " ", system)
    return 0
  end
  local fields = grammar:match(text)
  if not fields then return -1, "no match" end
  local ns = fields.time
  fields.time = nil
  inject_message({ Timestamp = ns, Fields = fields })
  return 0
end
]]

local function check(config, line, ns, fields)
  local found = filter(TEXT, config):process({ Payload = line })[1]
  equal(found.Fields, fields)
  if ns then
    equal(found.Timestamp / 1e9, ns)
  end
end

describe("common_log_format", function()
  it("reads nginx", function()
    check(
      { nginx = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" $request_time' },
      '10.0.0.1 - - [13/Feb/2009:23:31:30 +0000] "GET /a HTTP/1.1" 200 12 "-" 0.250',
      1234567890,
      {
        remote_addr = "10.0.0.1", remote_user = "-", request = "GET /a HTTP/1.1", status = 200,
        body_bytes_sent = 12, http_referer = "-", request_time = 0.25,
      }
    )
  end)

  it("reads lists of upstreams and any method", function()
    check(
      { nginx = "$msec $request_method $upstream_addr $upstream_response_time" },
      "1234567890.5 PATCH 10.0.0.1:80, 10.0.0.2:80 0.1, 0.2",
      1234567890.5,
      {
        request_method = "PATCH", upstream_addr = { "10.0.0.1:80", "10.0.0.2:80" },
        upstream_response_time = { 0.1, 0.2 },
      }
    )
  end)

  it("reads apache", function()
    check(
      { apache = '%h %l %u %t \\"%r\\" %>s %b \\"%{User-Agent}i\\" %D' },
      '::1 - bob [13/Feb/2009:18:31:30 -0500] "GET / HTTP/1.0" 304 - "curl/8" 15',
      1234567890,
      {
        remote_addr = "::1", remote_ident = "-", remote_user = "bob", request = "GET / HTTP/1.0",
        status = 304, body_bytes_sent = 0, http_user_agent = "curl/8", request_time = 15,
      }
    )
    check({ apache = "%{%Y-%m-%d}t %{usec}T" }, "1970-01-02 5", 86400, { request_time = 5 })
    equal(pcall(filter, TEXT, { apache = "%y" }), false)
  end)

  it("refuses other lines", function()
    equal(pcall(function()
      filter(TEXT, { nginx = "[$time_local] $status" }):process({ Payload = "hello" })
    end), false)
  end)

  it("knows browsers", function()
    local agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36"
    equal(filter(TEXT):process({ Payload = agent })[1].Payload, "Chrome 120 Windows 10")
    equal(filter(TEXT):process({ Payload = "curl/8" })[1].Payload, "nil nil nil")
  end)
end)
