describe("heka_message_schema", function()
  it("tells types, what is optional and what differs", function()
    local script = sandbox()
    script:process({ Logger = "web", Type = "access", Fields = { status = 200, path = "/" } })
    script:process({ Logger = "web", Type = "access", Fields = { status = "x" } })
    local found = script:timer(1e9)[1]
    equal(found.Fields.payload_name, "Message Schema")
    equal(found.Payload, "web [2]\n    access [2]\n        - [2]\n"
      .. "            path (string - optional [1])\n            status (mismatch)\n")
  end)
end)
