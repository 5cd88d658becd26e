describe("syslog_message", function()
  local function fields(program, line)
    local body = string.format(
      "local m = require('syslog_message')\n"
        .. "local grammar = m.get_prog_grammar(%q) or m.get_wildcard_grammar(%q)\n"
        .. "return grammar and grammar:match(%q) or 'none'",
      program, program, line
    )
    return evaluate(body)
  end
  local function holds(program, line, ...)
    local text = fields(program, line)
    for _, part in ipairs({ ... }) do
      equal(string.find(text, part, 1, true) ~= nil and part or text, part)
    end
  end

  it("reads sshd", function()
    holds("sshd", "Accepted publickey for root from 192.0.2.1 port 4022 ssh2: RSA SHA256:abc",
      '"action":"Accepted"', '"method":"publickey"', '"user_name":"root"', '"value":"192.0.2.1"', '"remote_port":4022')
    holds("sshd", "Failed password for invalid user eve from 2001:db8::1 port 1 ssh2",
      '"user_is_valid":false', '"user_name":"eve"', '"representation":"ipv6"')
    holds("sshd", "Invalid user admin from 103.99.0.122", '"user_name":"admin"')
    holds("sshd", "Connection closed by 212.47.254.145 [preauth]", '"action":"Connection closed"')
    holds("sshd", "Received disconnect from 112.95.230.3: 11: Bye Bye [preauth]", '"reason":"11: Bye Bye [preauth]"')
  end)

  it("reads who became whom", function()
    holds("sudo", "  ann : TTY=pts/1 ; PWD=/home/ann ; USER=root ; COMMAND=/bin/ls -l",
      '"user_name":"ann"', '"target_user":"root"', [["command":"\/bin\/ls -l"]], [["tty":"pts\/1"]])
    holds("su", "Successful su for root by ann", '"is_successful":true', '"user_name":"ann"')
    holds("su", "- pts/1 ann:root", '"is_successful":false', '"target_user":"root"')
    holds("login", "FAILED LOGIN (1) on '/dev/tty1' FOR 'ann', Authentication failure", '"user_name":"ann"', '"count":1')
    holds("systemd-logind", "New session 12 of user ann.", '"session":"12"', '"user_name":"ann"')
    holds("useradd", "new user: name=ann, UID=1001, GID=1001, home=/home/ann, shell=/bin/sh", '"user_id":1001', [["shell":"\/bin\/sh"]])
    holds("groupadd", "new group: name=staff, GID=50", '"group_name":"staff"', '"group_id":50')
    holds("groupdel", "group 'staff' removed", '"group_name":"staff"')
  end)

  it("reads services", function()
    holds("CRON", "(root) CMD (test -x /bin/a && (b))", '"user_name":"root"', [["command":"test -x \/bin\/a && (b)"]])
    holds("crontab", "(root) BEGIN EDIT (ann)", '"action":"BEGIN EDIT"')
    holds("dhclient", "DHCPREQUEST of 192.0.2.7 on eth0 to 192.0.2.1 port 67", '"action":"DHCPREQUEST"', '"server_port":67')
    holds("dhclient", "bound to 192.0.2.7 -- renewal in 1800 seconds.", '"renewal":1800')
    holds("dhcpd", "DHCPACK on 192.0.2.7 to 00:11:22:33:44:55 (host) via eth0", '"client_mac":"00:11:22:33:44:55"', '"client_host":"host"')
    holds("named", "error (connection refused) resolving 'a.example/A/IN': 192.0.2.1#53", '"query_name":"a.example"', '"record_type":"A"')
    holds("puppet-agent", "Finished catalog run in 2.5 seconds", '"seconds":2.5')
  end)

  it("reads what PAM says in any program", function()
    holds("PAM", "pam_unix(sshd:session): session opened for user ann by (uid=0)", '"pam_service":"sshd"', '"action":"opened"', '"by_user_id":0')
    holds("PAM", "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root",
      '"remote_host":"192.0.2.1"', '"user_name":"root"')
    equal(fields("nothing", "x"), '["none"]')
  end)

  it("takes a list of names", function()
    equal(evaluate("local m = require('syslog_message')\n"
      .. "return m.get_wildcard_grammar() ~= nil, m.get_wildcard_grammar({'PAM'}) ~= nil, m.get_wildcard_grammar({'x'}) == nil"),
      "[true,true,true]")
  end)
end)
