-- Grammars of what programs write to syslog: each matches a whole message and gives its fields.
--
-- `get_prog_grammar(program)` is the one of a program, or nil: CRON, crontab, dhclient, dhcpd, login,
-- groupadd, groupdel, named, puppet-agent, sshd, su, sudo, systemd-logind, useradd.
-- `get_wildcard_grammar(name)` is one that many programs' messages match: PAM; nil is any of them,
-- a list any of those in it.
--
--   local grammar = require("syslog_message").get_prog_grammar("sshd")
--   local fields = grammar:match("Accepted publickey for root from 192.0.2.1 port 22 ssh2")

local l = require("lpeg")
local ip = require("ip_address")

local ipairs, tonumber, type = ipairs, tonumber, type

local M = {}

local class = l.locale()
local sp = l.P(" ")
local word = (1 - class.space) ^ 1
local integer = class.digit ^ 1 / tonumber
local rest = l.P(1) ^ 1

local function field(name, pattern)
  return l.Cg(pattern, name)
end

-- Text up to what `stop` matches.
local function to(stop)
  return (1 - l.P(stop)) ^ 1
end

local function text(name, pattern)
  return field(name, l.C(pattern or word))
end

local address = l.Ct(l.Cg(l.C(ip.v4), "value") * l.Cg(l.Cc("ipv4"), "representation"))
  + l.Ct(l.Cg(l.C(ip.v6), "value") * l.Cg(l.Cc("ipv6"), "representation"))
local function remote(name)
  return field(name .. "_addr", address) + text(name .. "_host", (1 - l.S(" :;,()[]")) ^ 1)
end
local mac = class.xdigit ^ 1 * (":" * class.xdigit ^ 1) ^ 5

-- A grammar of several forms; blanks at the end do not count.
local function any(forms)
  local all = l.P(false)
  for _, form in ipairs(forms) do
    all = all + l.Ct(form) * class.space ^ 0 * -1
  end
  return all
end

local invalid = (l.P("invalid user ") * field("user_is_valid", l.Cc(false))) ^ -1
local from = " from " * remote("remote") * (" port " * field("remote_port", integer)) ^ -1

local sshd = any({
  text("action", l.P("Accepted") + "Failed" + "Postponed" + "Partial") * sp * text("method") * " for "
    * invalid * text("user_name", to(" from ")) * from * (sp * text("protocol", l.P("ssh") * class.digit ^ 1)) ^ -1
    * (": " * text("key", rest)) ^ -1,
  text("action", "Invalid") * " user " * text("user_name", (1 - l.P(" from ")) ^ 0) * from,
  text("action", l.P("Connection closed") + "Connection reset" + "Disconnected") * (" by" + l.P(" from"))
    * (l.P(" authenticating") + " invalid") ^ -1 * (l.P(" user ") * text("user_name")) ^ -1 * sp
    * remote("remote") * (" port " * field("remote_port", integer)) ^ -1 * l.P(" [preauth]") ^ -1,
  text("action", "Received disconnect") * from * (l.P(":") * class.digit ^ 1) ^ -1 * ": "
    * text("reason", rest),
  text("action", "Did not receive identification string") * from,
  text("action", "Server listening") * " on " * remote("listen") * " port " * field("listen_port", integer) * ".",
  text("action", l.P("reverse mapping checking getaddrinfo") + "Address") * text("reason", rest),
})

local cron = any({
  "(" * text("user_name", (1 - l.P(")")) ^ 1) * ") " * text("action", (class.upper + "_") ^ 1) * " ("
    * text("command", (1 - (l.P(")") * class.space ^ 0 * -1)) ^ 0) * ")",
  "(" * text("user_name", (1 - l.P(")")) ^ 1) * ") " * text("action", to(" (")) * " ("
    * text("command", (1 - (l.P(")") * class.space ^ 0 * -1)) ^ 0) * ")",
})

local sudo_pair = l.Cg(l.P("TTY=") * l.C(to(" ; ")), "tty") + l.Cg("PWD=" * l.C(to(" ; ")), "directory")
  + l.Cg("USER=" * l.C(to(" ; ")), "target_user") + l.Cg("GROUP=" * l.C(to(" ; ")), "target_group")
  + l.Cg("ENV=" * l.C(to(" ; ")), "environment")
local sudo = any({
  class.space ^ 0 * text("user_name", to(" : ")) * " : " * (text("reason", to(" ; ") - l.P("TTY=")) * " ; ") ^ -1
    * (sudo_pair * " ; ") ^ 0 * "COMMAND=" * text("command", rest),
})

local su = any({
  (l.P("Successful") * field("is_successful", l.Cc(true)) + l.P("FAILED") * field("is_successful", l.Cc(false)))
    * " su for " * text("target_user") * " by " * text("user_name"),
  (l.P("+") * field("is_successful", l.Cc(true)) + l.P("-") * field("is_successful", l.Cc(false)))
    * sp * text("tty") * sp * text("user_name", to(":")) * ":" * text("target_user"),
  "(to " * text("target_user", (1 - l.P(")")) ^ 1) * ") " * text("user_name") * " on " * text("tty"),
})

local login = any({
  text("action", "FAILED LOGIN") * " (" * field("count", integer) * ") on '" * text("tty", to("'")) * "'"
    * (" from '" * text("remote_host", to("'")) * "'") ^ -1 * " FOR '" * text("user_name", to("'")) * "', "
    * text("reason", rest),
  text("action", l.P("ROOT LOGIN")) * class.space ^ 1 * "on '" * text("tty", to("'")) * "'"
    * (" from '" * text("remote_host", to("'")) * "'") ^ -1 * field("user_name", l.Cc("root")),
})

local id_pairs = (", UID=" * field("user_id", integer) + ", GID=" * field("group_id", integer)
  + ", home=" * text("home", (1 - l.P(",")) ^ 0) + ", shell=" * text("shell", (1 - l.P(",")) ^ 0)
  + ", from=" * text("tty", (1 - l.P(",")) ^ 0)) ^ 0
local useradd = any({
  text("action", "new user") * ": name=" * text("user_name", (1 - l.P(",")) ^ 1) * id_pairs,
  text("action", "new group") * ": name=" * text("group_name", (1 - l.P(",")) ^ 1) * id_pairs,
  text("action", "add") * " '" * text("user_name", to("'")) * "' to " * l.P("shadow ") ^ -1 * "group '"
    * text("group_name", to("'")) * "'",
  text("action", "failed adding user") * " '" * text("user_name", to("'")) * "', " * text("reason", rest),
})
local group = any({
  text("action", l.P("group added to") + "group removed from" + "new group" + "removed group")
    * sp ^ -1 * (text("file", l.P("/") * (1 - l.S(": ")) ^ 1) + l.P("")) * (l.P(": name=") + "'" + l.P("group '"))
    * text("group_name", (1 - l.S(",' ")) ^ 1) * l.P("'") ^ -1 * (l.P(", GID=") * field("group_id", integer)) ^ -1
    * (l.P(" removed from ") * text("file")) ^ -1,
  "group '" * text("group_name", to("'")) * "' " * text("action", "removed") * (" from " * text("file")) ^ -1,
})

local dhclient = any({
  text("action", l.P("DHCP") * class.upper ^ 1) * (" of " * field("address", address)) ^ -1
    * (" on " * text("interface")) ^ -1 * (" to " * field("server_addr", address)) ^ -1
    * (" port " * field("server_port", integer)) ^ -1 * (" interval " * field("interval", integer)) ^ -1
    * (" from " * field("server_addr", address)) ^ -1 * (l.P(" (") * rest) ^ -1,
  text("action", "bound") * " to " * field("address", address) * " -- renewal in "
    * field("renewal", integer) * " seconds.",
})
local dhcpd = any({
  text("action", l.P("DHCP") * class.upper ^ 1) * (l.P(" for ") + " on ") * field("address", address)
    * (" (" * field("server_addr", address) * ")") ^ -1 * (l.P(" to ") + " from ") * text("client_mac", mac)
    * (" (" * text("client_host", (1 - l.P(")")) ^ 1) * ")") ^ -1 * " via " * text("interface", (1 - l.S(": ")) ^ 1)
    * (l.S(": ") * rest) ^ -1,
  text("action", l.P("DHCP") * class.upper ^ 1) * " from " * (text("client_mac", mac) + field("address", address))
    * (" (" * text("client_host", (1 - l.P(")")) ^ 1) * ")") ^ -1 * " via " * text("interface", (1 - l.S(": ")) ^ 1)
    * (l.S(": ") * rest) ^ -1,
})

local named = any({
  (l.P("error (") * text("reason", (1 - l.P(")")) ^ 1) * ") resolving '" + text("reason", to(" resolving '")) * " resolving '")
    * text("query_name", to("/")) * "/" * text("record_type", to("/")) * "/" * text("record_class", to("'")) * "': "
    * field("server_addr", address) * "#" * field("server_port", integer),
  "client " * (l.P("@") * word * sp) ^ -1 * remote("client") * "#" * field("client_port", integer) * (" (" * (1 - l.P(")")) ^ 1 * ")") ^ -1
    * ": " * text("reason", rest),
  "zone " * text("zone", to("/")) * "/" * text("record_class", (1 - l.P(":")) ^ 1) * ": " * text("reason", rest),
})

local puppet = any({
  text("action", "Finished catalog run") * " in " * field("seconds", (class.digit ^ 1 * ("." * class.digit ^ 1) ^ -1) / tonumber)
    * " seconds",
  "(" * text("resource", (1 - l.P(")")) ^ 1) * ") " * text("action", rest),
  text("action", rest),
})

local logind = any({
  text("action", "New session") * sp * text("session") * " of user " * text("user_name", (1 - l.P("." * class.space ^ 0 * -1)) ^ 1) * ".",
  text("action", "Removed session") * sp * text("session", (1 - l.P("." * class.space ^ 0 * -1)) ^ 1) * ".",
  "Session " * text("session") * sp * text("action", "logged out") * rest,
  text("action", "New seat") * sp * text("seat", (1 - l.P("." * class.space ^ 0 * -1)) ^ 1) * ".",
})

local pam_pair = sp ^ 1 * (l.P("logname=") * (text("login_name", (1 - class.space) ^ 0)) + "uid=" * field("user_id", integer)
  + "euid=" * field("effective_user_id", integer) + "tty=" * text("tty", (1 - class.space) ^ 0)
  + "ruser=" * text("remote_user", (1 - class.space) ^ 0) + "rhost=" * text("remote_host", (1 - class.space) ^ 0)
  + "user=" * text("user_name", (1 - class.space) ^ 0))
local pam = any({
  text("pam_module", "pam_" * (class.alnum + "_") ^ 1) * "(" * text("pam_service", (1 - l.P(":")) ^ 1) * ":"
    * text("pam_type", (1 - l.P(")")) ^ 1) * "): session " * text("action", l.P("opened") + "closed") * " for user "
    * text("user_name", (1 - l.S(" (")) ^ 1) * ("(uid=" * field("user_id", integer) * ")") ^ -1
    * (" by " * text("by_user", (1 - l.P("(")) ^ 0) * "(uid=" * field("by_user_id", integer) * ")") ^ -1,
  text("pam_module", "pam_" * (class.alnum + "_") ^ 1) * "(" * text("pam_service", (1 - l.P(":")) ^ 1) * ":"
    * text("pam_type", (1 - l.P(")")) ^ 1) * "): " * text("action", (1 - l.P(";")) ^ 1) * ";" * pam_pair ^ 1,
  text("pam_module", "pam_" * (class.alnum + "_") ^ 1) * "(" * text("pam_service", (1 - l.P(":")) ^ 1) * ":"
    * text("pam_type", (1 - l.P(")")) ^ 1) * "): " * text("reason", rest),
})

local programs = {
  CRON = cron,
  crontab = cron,
  dhclient = dhclient,
  dhcpd = dhcpd,
  login = login,
  groupadd = group,
  groupdel = group,
  named = named,
  ["puppet-agent"] = puppet,
  sshd = sshd,
  su = su,
  sudo = sudo,
  ["systemd-logind"] = logind,
  useradd = useradd,
}
local wildcards = { PAM = pam }

function M.get_prog_grammar(program)
  return programs[program]
end

function M.get_wildcard_grammar(name)
  if name == nil then
    return pam
  end
  if type(name) ~= "table" then
    return wildcards[name]
  end
  local all
  for _, one in ipairs(name) do
    local grammar = wildcards[one]
    if grammar then
      all = all and all + grammar or grammar
    end
  end
  return all
end

return M
