-- Reads what the daemons of Postfix log.
--
-- `postfix_match(programname, message, extract_keyvalue)` gives a table of fields, each with a name
-- that begins with `postfix_`, or nil for what is not Postfix's or not known. Counts are integers,
-- delays doubles. With `extract_keyvalue` the pairs `key=value` of a line become fields too.
--
--   local postfix = require("postfix")
--   local fields = postfix.postfix_match("postfix/qmgr", "3F2C: removed")

local M = {}

local find, gmatch, gsub, lower, match =
  string.find, string.gmatch, string.gsub, string.lower, string.match
local pairs, tonumber, type = pairs, tonumber, type

local INTEGERS = {
  postfix_anvil_cache_size = true,
  postfix_anvil_conn_count = true,
  postfix_anvil_conn_rate = true,
  postfix_client_port = true,
  postfix_nrcpt = true,
  postfix_postscreen_cache_dropped = true,
  postfix_postscreen_cache_retained = true,
  postfix_postscreen_dnsbl_rank = true,
  postfix_relay_port = true,
  postfix_server_port = true,
  postfix_size = true,
  postfix_status_code = true,
  postfix_termination_signal = true,
  postfix_exit_code = true,
}
local DOUBLES = {
  postfix_delay = true,
  postfix_delay_before_qmgr = true,
  postfix_delay_in_qmgr = true,
  postfix_delay_conn_setup = true,
  postfix_delay_transmission = true,
  postfix_postscreen_violation_time = true,
}

-- A host as Postfix writes it: `name[address]`, and `:port` behind it.
local function host(fields, prefix, text)
  local name, address, port = match(text, "^([^%[%s]*)%[([^%]]*)%]:?(%d*)")
  if not name then
    return
  end
  if name ~= "" then
    fields[prefix .. "_hostname"] = name
  end
  if find(address, "^[%x:.]+$") then
    fields[prefix .. "_ip"] = address
  elseif address ~= "unknown" then
    fields[prefix .. "_service"] = address
  end
  if port ~= "" then
    fields[prefix .. "_port"] = port
  end
end

local function delays(fields, text)
  local before, queue, setup, transmission = match(text, "^([%d.]+)/([%d.]+)/([%d.]+)/([%d.]+)$")
  fields.postfix_delay_before_qmgr = before
  fields.postfix_delay_in_qmgr = queue
  fields.postfix_delay_conn_setup = setup
  fields.postfix_delay_transmission = transmission
end

-- The pairs of a line; angle brackets are no part of a value, and what is in brackets may have commas.
local function pairs_of(fields, text)
  for key, value in gmatch(" " .. text, "[%s,]([%w_-]+)=(<[^>]*>?[^,%s]*)") do
    local inner = match(value, "^<([^>]*)>$") or value
    if inner ~= "" then
      fields["postfix_" .. gsub(key, "-", "_")] = inner
    end
  end
  for key, value in gmatch(" " .. text, "[%s,]([%w_-]+)=([^<,%s][^,%s]*)") do
    fields["postfix_" .. gsub(key, "-", "_")] = value
  end
end

-- The parts of known pairs; the pairs themselves go unless they are asked for.
local function split_pairs(fields, text, keep)
  local found = {}
  pairs_of(found, text)
  if found.postfix_client then
    host(fields, "postfix_client", found.postfix_client)
  end
  if found.postfix_relay then
    host(fields, "postfix_relay", found.postfix_relay)
  end
  if found.postfix_delays then
    delays(fields, found.postfix_delays)
  end
  if keep then
    for key, value in pairs(found) do
      fields[key] = fields[key] or value
    end
    fields.postfix_client, fields.postfix_relay, fields.postfix_delays = nil, nil, nil
  else
    fields.postfix_keyvalue_data = text
  end
end

-- A line of a daemon is tried against its forms, one after the other. A form is a Lua pattern and the
-- names of what it captures; `client`, `relay`, `server` and `keyvalue_data` are taken apart.
local CLIENT = "([^%s%[]*%[[^%]]*%]:?%d*)"
local QUEUE_ID = "^(%w+): "

local common = {
  { "^warning: (.*)$", "warning" },
  { "^fatal: (.*)$", "fatal" },
  { "^panic: (.*)$", "panic" },
  { "^error: (.*)$", "error" },
}
local delivery = {
  { QUEUE_ID .. "(.-, status=%w+) %((.*)%)$", "queueid", "keyvalue_data", "smtp_response" },
  { QUEUE_ID .. "host " .. CLIENT .. " (said: .*)$", "queueid", "relay", "smtp_response" },
  { QUEUE_ID .. "(%w+=.*)$", "queueid", "keyvalue_data" },
  { "^connect to " .. CLIENT .. ": (.*)$", "relay", "smtp_lookup_error" },
  { "^(%w+) TLS connection established to " .. CLIENT .. ": (%S+) with cipher (%S+)",
    "tls_trust", "relay", "tls_version", "tls_cipher" },
}
local forms = {
  anvil = {
    { "^statistics: max connection rate (%d+)/(%S+) for %((%w+):([^)]*)%) at (.*)$", "anvil_conn_rate",
      "anvil_conn_period", "service", "client_ip", "anvil_timestamp" },
    { "^statistics: max connection count (%d+) for %((%w+):([^)]*)%) at (.*)$", "anvil_conn_count",
      "service", "client_ip", "anvil_timestamp" },
    { "^statistics: max cache size (%d+) at (.*)$", "anvil_cache_size", "anvil_timestamp" },
  },
  bounce = {
    { QUEUE_ID .. "sender ([%w -]+): (%w+)$", "queueid", "bounce_notification", "bounce_queueid" },
  },
  cleanup = {
    { QUEUE_ID .. "milter%-(%w+): ([%w_ -]+) from " .. CLIENT .. ": ([^;]*); (.*)$", "queueid",
      "milter_result", "milter_state", "client", "milter_message", "keyvalue_data" },
    { QUEUE_ID .. "(%w+): header (.-) from " .. CLIENT .. "; (.*)$", "queueid", "action",
      "header", "client", "keyvalue_data" },
    { QUEUE_ID .. "([%w-]+=.*)$", "queueid", "keyvalue_data" },
  },
  dnsblog = {
    { "^addr (%S+) listed by domain (%S+) as (%S+)$", "client_ip", "dnsbl_domain", "dnsbl_result" },
  },
  master = {
    { "^daemon started %-%- version ([^,]+), configuration (.*)$", "version", "config_path" },
    { "^reload %-%- version ([^,]+), configuration (.*)$", "version", "config_path" },
    { "^terminating on signal (%d+)$", "termination_signal" },
    { "^warning: process (%S+) pid (%d+) exit status (%d+)$", "command", "pid", "exit_code" },
  },
  pickup = {
    { QUEUE_ID .. "(%w+=.*)$", "queueid", "keyvalue_data" },
  },
  postdrop = {},
  postscreen = {
    { "^(CONNECT) from %[([^%]]+)%]:(%d+) to %[([^%]]+)%]:(%d+)$", "action", "client_ip",
      "client_port", "server_ip", "server_port" },
    { "^(PASS %u+) %[([^%]]+)%]:(%d+)$", "action", "client_ip", "client_port" },
    { "^(%u+) %[([^%]]+)%]:(%d+)$", "action", "client_ip", "client_port" },
    { "^DNSBL rank (%d+) for %[([^%]]+)%]:(%d+)$", "postscreen_dnsbl_rank", "client_ip", "client_port" },
    { "^NOQUEUE: (%w+): RCPT from %[([^%]]+)%]:(%d+): (%d+) ([%d.]*) ?(.-); (.*)$", "action",
      "client_ip", "client_port", "status_code", "status_code_enhanced", "status_message",
      "keyvalue_data" },
    { "^(PREGREET) %d+ after ([%d.]+) from %[([^%]]+)%]:(%d+): (.*)$", "postscreen_violation",
      "postscreen_violation_time", "client_ip", "client_port", "postscreen_violation_text" },
    { "^(HANGUP) after ([%d.]+) from %[([^%]]+)%]:(%d+) in (.*)$", "postscreen_violation",
      "postscreen_violation_time", "client_ip", "client_port", "smtp_stage" },
    { "^cache (%S+) full cleanup: retained=(%d+) dropped=(%d+) entries$", "postscreen_cache_location",
      "postscreen_cache_retained", "postscreen_cache_dropped" },
  },
  postsuper = {
    { QUEUE_ID .. "(removed)$", "queueid", "action" },
    { QUEUE_ID .. "(placed on hold)$", "queueid", "action" },
    { QUEUE_ID .. "(released from hold)$", "queueid", "action" },
    { QUEUE_ID .. "(requeued)$", "queueid", "action" },
  },
  qmgr = {
    { QUEUE_ID .. "(removed)$", "queueid", "qmgr_action" },
    { QUEUE_ID .. "(.-), status=(expired), returned to sender$", "queueid", "keyvalue_data", "status" },
    { QUEUE_ID .. "(from=.*) %(queue (%w+)%)$", "queueid", "keyvalue_data", "queue" },
    { QUEUE_ID .. "(%w+=.*)$", "queueid", "keyvalue_data" },
  },
  scache = {
    { "^statistics: start interval (.*)$", "scache_timestamp" },
    { "^statistics: (%w+) lookup hits=(%d+) miss=(%d+)", "scache_lookup", "scache_hits", "scache_miss" },
  },
  smtpd = {
    { "^(connect) from " .. CLIENT .. "$", "action", "client" },
    { "^(disconnect) from " .. CLIENT .. " ?(.*)$", "action", "client", "keyvalue_data" },
    { "^(lost connection) after ([%w-]+) ?.- from " .. CLIENT .. "$", "action", "smtp_stage", "client" },
    { "^(timeout) after ([%w-]+) ?.- from " .. CLIENT .. "$", "action", "smtp_stage", "client" },
    { "^(%w+): (%w+): (%w+) from " .. CLIENT .. ": (%d+) ([%d.]*) ?(.-); (.*)$", "queueid", "action",
      "smtp_stage", "client", "status_code", "status_code_enhanced", "status_message", "keyvalue_data" },
    { "^improper command pipelining after ([%w-]+) from " .. CLIENT .. ": ?(.*)$", "smtp_stage",
      "client", "improper_pipelining_data" },
    { "^(%w+) TLS connection established from " .. CLIENT .. ": (%S+) with cipher (%S+)",
      "tls_trust", "client", "tls_version", "tls_cipher" },
    { "^proxy%-(%w+): ([%w-]+): (.-); (.*)$", "proxy_result", "proxy_smtp_stage", "proxy_message",
      "keyvalue_data" },
    { QUEUE_ID .. "(%w+=.*)$", "queueid", "keyvalue_data" },
  },
  tlsmgr = {},
  tlsproxy = {
    { "^(CONNECT) from %[([^%]]+)%]:(%d+)$", "action", "client_ip", "client_port" },
    { "^(DISCONNECT) %[([^%]]+)%]:(%d+)$", "action", "client_ip", "client_port" },
  },
  trivial_rewrite = {},
  error = delivery,
  lmtp = delivery,
  ["local"] = delivery,
  pipe = delivery,
  relay = delivery,
  smtp = delivery,
  virtual = delivery,
  discard = delivery,
  proxymap = {},
  sendmail = {},
  verify = {},
}
forms["trivial-rewrite"] = forms.trivial_rewrite
forms.submission, forms.smtps = forms.smtpd, forms.smtpd

local function try(form, message, extract_keyvalue)
  local found = { match(message, form[1]) }
  if found[1] == nil then
    return nil
  end
  local fields = {}
  for index = 2, #form do
    local name, value = form[index], found[index - 1]
    if value == nil or value == "" then
      -- It is not said.
    elseif name == "keyvalue_data" then
      split_pairs(fields, value, extract_keyvalue)
    elseif name == "client" or name == "relay" or name == "server" then
      host(fields, "postfix_" .. name, value)
    else
      fields["postfix_" .. name] = value
    end
  end
  return fields
end

-- Counts as integers, delays as doubles.
local function typed(fields)
  for name, value in pairs(fields) do
    local number = tonumber(value)
    if number and INTEGERS[name] then
      fields[name] = { value = number, value_type = 2 }
    elseif number and DOUBLES[name] then
      fields[name] = number
    end
  end
  return fields
end

function M.postfix_match(programname, message, extract_keyvalue)
  if type(programname) ~= "string" or type(message) ~= "string" then
    return nil
  end
  local daemon = match(programname, "^postfix[%w_.-]*/(.+)$")
  daemon = daemon and match(daemon, "([^/]+)$")
  local own = daemon and forms[lower(daemon)]
  if not own then
    return nil
  end
  message = gsub(message, "%s+$", "")
  for index = 1, #own + #common do
    local form = own[index] or common[index - #own]
    local fields = try(form, message, extract_keyvalue)
    if fields then
      return typed(fields)
    end
  end
  return nil
end

return M
