describe("es_payload", function()
  it("puts the place before the payload", function()
    local script = sandbox({ es_index_from_timestamp = true, id = "%{Logger}" })
    equal(
      script:encode({ Timestamp = 0, Logger = "l", Payload = '{"a":1}' }),
      '{"index":{"_index":"heka-1970.01.01","_type":"message","_id":"l"}}\n{"a":1}\n'
    )
  end)
end)
