local function report(minute, failures)
  return {
    Timestamp = minute * 60e9,
    Payload = '{"filters":[{"Name":"f","ProcessMessageFailures":{"value":' .. failures
      .. ',"representation":"count"}}]}',
  }
end

describe("heka_process_message_failures", function()
  it("alerts once when failures rise", function()
    local script = sandbox()
    local failures = 0
    for minute = 1, 70 do
      failures = failures + (minute > 64 and 50 + minute or minute % 2)
      script:process(report(minute, failures))
    end
    local found = script:timer(70 * 60e9)
    equal(#found, 1)
    equal(string.find(found[1].Payload, "^f %- algorithm: mww_nonparametric col: 1 msg: ") ~= nil, true)
    script:process(report(71, failures + 200))
    equal(#script:timer(71 * 60e9), 0)
  end)

  it("is silent while all is well", function()
    local script = sandbox()
    for minute = 1, 70 do
      script:process(report(minute, 0))
    end
    equal(#script:timer(70 * 60e9), 0)
  end)
end)
