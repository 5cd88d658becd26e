describe("dogstatsd", function()
  it("writes a line for each number", function()
    local script = sandbox({ metric_prefix = "h.", metric_type = "c", tags = "Hostname env" })
    equal(
      script:encode({ Hostname = "web", Fields = { ["a:b"] = 2.5, env = "p|q" } }),
      "h.a_b:2.5|c|#hostname:web,env:p_q\n"
    )
    equal(script:encode({ Hostname = "web" }), nil)
  end)
end)
