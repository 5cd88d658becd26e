describe("alert", function()
  it("is four lines", function()
    equal(
      sandbox():encode({ Timestamp = 86400e9, Hostname = "web", Logger = "http_status", Payload = "down" }),
      "Timestamp: 1970-01-02T00:00:00Z\nHostname: web\nPlugin: http_status\nAlert: down\n"
    )
  end)
end)
