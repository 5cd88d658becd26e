describe("postfix", function()
  local function fields(program, line, pairs)
    local body = string.format(
      "return require('postfix').postfix_match(%q, %q, %s)",
      program, line, tostring(pairs or false)
    )
    return evaluate(body)
  end
  local function holds(text, name, value)
    equal(string.find(text, '"' .. name .. '":' .. value, 1, true) ~= nil and "" or text, "")
  end

  it("reads deliveries", function()
    local text = fields(
      "postfix/smtp",
      "3F2C11: to=<a@example.com>, relay=mx.example.com[192.0.2.1]:25, delay=1.5, "
        .. "delays=0.1/0.2/0.5/0.7, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued)",
      true
    )
    holds(text, "postfix_queueid", '"3F2C11"')
    holds(text, "postfix_to", '"a@example.com"')
    holds(text, "postfix_relay_hostname", '"mx.example.com"')
    holds(text, "postfix_relay_ip", '"192.0.2.1"')
    holds(text, "postfix_relay_port", '{"')
    holds(text, "postfix_delay", "1.5")
    holds(text, "postfix_delay_in_qmgr", "0.2")
    holds(text, "postfix_status", '"sent"')
    holds(text, "postfix_smtp_response", '"250 2.0.0 Ok: queued"')
  end)

  it("reads refusals", function()
    local text = fields(
      "postfix/smtpd",
      "NOQUEUE: reject: RCPT from unknown[198.51.100.7]: 554 5.7.1 <a@example.com>: Relay access "
        .. "denied; from=<b@example.org> to=<a@example.com> proto=ESMTP helo=<there>",
      true
    )
    holds(text, "postfix_action", '"reject"')
    holds(text, "postfix_client_ip", '"198.51.100.7"')
    holds(text, "postfix_status_code_enhanced", '"5.7.1"')
    holds(text, "postfix_from", '"b@example.org"')
    holds(text, "postfix_helo", '"there"')
  end)

  it("reads what other daemons say", function()
    holds(fields("postfix/qmgr", "3F2C: removed"), "postfix_qmgr_action", '"removed"')
    holds(fields("postfix/qmgr", "3F2C: from=<>, size=12, nrcpt=1 (queue active)", true), "postfix_size", '{"')
    holds(fields("postfix/qmgr", "3F2C: from=<a@b>, size=12, nrcpt=1 (queue active)"), "postfix_keyvalue_data", '"')
    holds(fields("postfix/postscreen", "PASS NEW [192.0.2.9]:1234"), "postfix_action", '"PASS NEW"')
    holds(fields("postfix/anvil", "statistics: max cache size 3 at Oct  5 13:00:00"), "postfix_anvil_cache_size", '{"')
    holds(fields("postfix/smtpd", "connect from h.example.com[192.0.2.1]"), "postfix_client_hostname", '"h.example.com"')
    holds(fields("postfix/submission/smtpd", "lost connection after AUTH from h[192.0.2.1]"), "postfix_smtp_stage", '"AUTH"')
    holds(fields("postfix/master", "terminating on signal 15"), "postfix_termination_signal", '{"')
    holds(fields("postfix/tlsmgr", "warning: no entropy"), "postfix_warning", '"no entropy"')
  end)

  it("leaves alone what it does not know", function()
    for _, line in ipairs({
      { "sshd", "3F2C: removed" },
      { "postfix/qmgr", "something else" },
      { "postfix/other", "3F2C: removed" },
    }) do
      equal(string.find(fields(line[1], line[2]), "postfix", 1, true), nil)
    end
  end)
end)
