local TEXT = [[
process_message = require("access_log")("build_nginx_grammar")
]]

local function check(config, agent, expected)
  config.log_format = "[$time_local] $http_user_agent"
  local line = "[13/Feb/2009:23:31:30 +0000] " .. agent
  equal(filter(TEXT, config):process({ Payload = line })[1].Fields, expected)
end

describe("access_log", function()
  it("takes browsers apart as it is told", function()
    local agent = "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0"
    local apart = { user_agent_browser = "Firefox", user_agent_version = 120, user_agent_os = "Linux" }
    check({}, agent, { http_user_agent = agent })
    check({ user_agent_transform = true }, agent, apart)
    check({ user_agent_transform = true, user_agent_conditional = true }, agent, apart)
    check({ user_agent_transform = true, user_agent_conditional = true }, "curl", { http_user_agent = "curl" })
    apart.http_user_agent = agent
    check({ user_agent_transform = true, user_agent_keep = true }, agent, apart)
  end)

  it("wants a log_format", function()
    equal(pcall(filter, TEXT), false)
  end)
end)
