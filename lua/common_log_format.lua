--[[
Grammars for the access logs of web servers, made from the setting that had them written.

    local clf = require "common_log_format"
    local grammar = clf.build_nginx_grammar('$remote_addr - $remote_user [$time_local] "$request" $status')
    local fields = grammar:match(line)   -- fields.time is in nanoseconds

`build_apache_grammar` takes a LogFormat and gives the same names where Nginx has one.
`nginx_error_grammar` reads error logs: Timestamp, Severity, Pid, Fields and Payload.
`normalize_user_agent` gives browser, version and system.
--]]

local l = require "lpeg"

require "math"
require "string"

local date_time = require "date_time"
local ip_address = require "ip_address"

local digit = l.R("09")
local integer = l.P("-") ^ -1 * digit ^ 1 / tonumber
local double = l.P("-") ^ -1 * digit ^ 1 * ("." * digit ^ 1) ^ -1 / tonumber

local function with(pattern, representation)
  return l.Ct(l.Cg(pattern, "value") * l.Cg(l.Cc(representation), "representation"))
end

-- A dash stands for what is not known: the field is left out.
local function or_dash(pattern)
  return pattern + l.P("-") * l.Cc(nil)
end

local bytes = with(integer + l.P("-") * l.Cc(0), "B")
local seconds = with(double, "s")
local socket_path = with(l.C("unix:" * (1 - l.S(" ,")) ^ 0), "path")

-- Upstreams are lists with commas and colons between.
local function list(item)
  local one = item + l.P("-") * l.Cc(nil)
  return l.Ct(one * ((l.P(", ") + " : ") * one) ^ 0)
end

local function list_with(item, representation)
  return l.Ct(l.Cg(list(item), "value") * l.Cg(l.Cc(representation), "representation"))
end

local port = ":" * digit ^ 1
local upstream = l.C("unix:" * (1 - l.S(" ,")) ^ 1 + ip_address.v4 * port ^ -1
  + "[" * ip_address.v6 * "]" * port ^ -1 + (l.R("09", "az", "AZ") + l.S("-_.:")) ^ 1 - l.P("- "))
local method = l.C(l.R("AZ") ^ 1)

local clf_ns = date_time.clf_timestamp / date_time.time_to_ns
local rfc3339_ns = date_time.rfc3339 / date_time.time_to_ns
local decimal_ns = l.C(digit ^ 1 * ("." * digit ^ 1) ^ -1) / date_time.seconds_to_ns

-- Splitters may leave the end of the line on it.
local line_end = (l.P("\r") ^ -1 * "\n") ^ -1 * -1

-- What a variable of Nginx looks like; all others are text.
local nginx = {
  body_bytes_sent = bytes, bytes_sent = bytes, request_length = bytes,
  content_length = with(or_dash(integer), "B"), connection = integer,
  connection_requests = integer, gzip_ratio = or_dash(double), pid = integer, msec = decimal_ns,
  remote_addr = ip_address.host + socket_path, host = ip_address.host,
  server_name = ip_address.host, server_addr = ip_address.host, hostname = ip_address.host,
  remote_port = or_dash(integer), server_port = integer, request_method = method,
  request_time = seconds, status = integer, time_local = clf_ns, time_iso8601 = rfc3339_ns,
  tcpinfo_rtt = integer, tcpinfo_rttvar = integer, tcpinfo_snd_cwnd = integer,
  tcpinfo_rcv_space = integer, upstream_addr = list(upstream), upstream_status = list(integer),
  upstream_response_time = list_with(double, "s"), upstream_response_length = list_with(integer, "B"),
  upstream_connect_time = list_with(double, "s"), upstream_header_time = list_with(double, "s"),
  upstream_cache_status = l.C(l.R("AZ") ^ 1) + l.C("-"),
}
local nginx_names = { time_local = "time", time_iso8601 = "time", msec = "time" }

-- The grammar of parts: literals, and variables with a name and maybe a pattern. One without a
-- pattern, or one whose value does not fit it, ends where the next literal begins.
local function build(parts)
  local pattern = line_end
  for at = #parts, 1, -1 do
    local part = parts[at]
    if type(part) == "string" then
      pattern = l.P(part) * pattern
    else
      local following = parts[at + 1]
      local stop = type(following) == "string" and l.P(following) or line_end
      local text = l.C((1 - stop) ^ 0)
      local value = part.pattern and part.pattern * #stop or text
      if part.pattern and not part.is_strict then
        value = value + text
      end
      pattern = l.Cg(value, part.name) * pattern
    end
  end
  return l.Ct(pattern)
end

local M = {}

-- The grammar of lines that Nginx writes with this `log_format`.
function M.build_nginx_grammar(log_format)
  local variable = "$" * (l.C((l.R("az", "AZ", "09") + "_") ^ 1) + "{" * l.C((1 - l.P("}")) ^ 1) * "}")
  local part = variable / function(name)
    local is_strict = nginx_names[name] ~= nil or name == "status"
    return { name = nginx_names[name] or name, pattern = nginx[name], is_strict = is_strict }
  end
  local parts = l.Ct((part + l.C((1 - variable / 0) ^ 1)) ^ 1):match(log_format)
  return build(parts)
end

-- What a directive of Apache looks like, and what Nginx calls it.
local apache = {
  a = { "remote_addr", ip_address.host }, A = { "server_addr", ip_address.host },
  B = { "body_bytes_sent", bytes }, b = { "body_bytes_sent", bytes },
  D = { "request_time", with(integer, "us") }, f = { "request_filename" },
  h = { "remote_addr", ip_address.host }, H = { "server_protocol" },
  I = { "request_length", bytes }, k = { "connection_requests", integer }, l = { "remote_ident" },
  L = { "request_log_id" }, m = { "request_method", method }, O = { "bytes_sent", bytes },
  p = { "server_port", integer }, P = { "pid", integer }, q = { "query_string" },
  r = { "request" }, R = { "request_handler" }, s = { "status", integer },
  S = { "bytes_total", bytes }, t = { "time", "[" * clf_ns * "]" }, T = { "request_time", seconds },
  u = { "remote_user" }, U = { "uri" }, v = { "server_name", ip_address.host },
  V = { "server_name", ip_address.host }, X = { "connection_status" },
}

local time_units = { sec = 1e9, msec = 1e6, usec = 1e3 }

local function apache_time(format)
  format = string.gsub(string.gsub(format, "^begin:", ""), "^end:", "")
  local unit = time_units[format]
  if unit then
    return { name = "time", is_strict = true, pattern = integer / function(count)
      return count * unit
    end }
  end
  if format == "msec_frac" or format == "usec_frac" then
    return { name = "time_" .. format, pattern = integer }
  end
  return {
    name = "time",
    is_strict = true,
    pattern = date_time.build_strftime_grammar(format) / date_time.time_to_ns,
  }
end

local function lower(name)
  return (string.gsub(string.lower(name), "-", "_"))
end

local function apache_braced(argument, letter)
  local prefixes = { i = "http_", o = "sent_http_", C = "cookie_", e = "env_", n = "note_" }
  if prefixes[letter] then
    return { name = prefixes[letter] .. lower(argument) }
  elseif letter == "t" then
    return apache_time(argument)
  elseif letter == "T" then
    local units = { s = "s", ms = "ms", us = "us" }
    return { name = "request_time", pattern = with(integer, units[argument] or "s") }
  elseif letter == "p" then
    return { name = argument == "remote" and "remote_port" or "server_port", pattern = integer }
  elseif letter == "P" then
    return { name = argument == "tid" and "tid" or "pid", pattern = integer }
  end
  return { name = lower(argument) }
end

-- The grammar of lines that Apache writes with this LogFormat.
function M.build_apache_grammar(log_format)
  log_format = string.gsub(log_format, '\\"', '"')
  local condition = (l.P("!") ^ -1 * digit * (digit + ",") ^ 0) ^ -1 * l.S("<>") ^ -1
  local letter = l.C(l.R("az", "AZ"))
  local braced = "{" * l.C((1 - l.P("}")) ^ 1) * "}" * letter / apache_braced
  local plain = letter / function(name)
    local known = apache[name]
    if not known then
      error("there is no %" .. name .. " in a LogFormat")
    end
    return { name = known[1], pattern = known[2], is_strict = name == "t" or name == "s" }
  end
  local directive = "%" * condition * (braced + plain)
  local literal = l.Cs((l.P("%%") / "%%" + (1 - l.P("%"))) ^ 1)
  local parts = (l.Ct((literal + directive) ^ 1) * -1):match(log_format)
  if not parts then
    error("cannot read the LogFormat " .. log_format)
  end
  return build(parts)
end

local severities = {
  debug = 7, info = 6, notice = 5, warn = 4, error = 3, crit = 2, alert = 1, emerg = 0,
}
local nginx_time = date_time.build_strftime_grammar("%Y/%m/%d %H:%M:%S") / date_time.time_to_ns

-- A line of Nginx's error log as a message.
M.nginx_error_grammar = l.Ct(
  l.Cg(nginx_time, "Timestamp") * " ["
    * l.Cg(l.R("az") ^ 1 / severities, "Severity") * "] "
    * l.Cg(integer, "Pid") * "#"
    * l.Cg(l.Ct(l.Cg(integer, "tid") * ": " * ("*" * l.Cg(integer, "connection") * " ") ^ -1), "Fields")
    * l.Cg((1 - line_end) ^ 0, "Payload")
)

-- The first whose pattern is found names it.
local systems = {
  { "Windows Phone", "Windows Phone" }, { "Windows NT 10", "Windows 10" },
  { "Windows NT 6%.3", "Windows 8.1" }, { "Windows NT 6%.2", "Windows 8" },
  { "Windows NT 6%.1", "Windows 7" }, { "Windows NT 6%.0", "Windows Vista" },
  { "Windows NT 5%.1", "Windows XP" }, { "iPod", "iPod" }, { "iPad", "iPad" },
  { "iPhone", "iPhone" }, { "Android", "Android" }, { "CrOS", "Chrome OS" },
  { "Macintosh", "Macintosh" }, { "FreeBSD", "FreeBSD" }, { "Linux", "Linux" },
}
local browsers = {
  { "Edge?A?/(%d+)", "Edge" }, { "EdgiOS/(%d+)", "Edge" }, { "OPR/(%d+)", "Opera" },
  { "Opera.*Version/(%d+)", "Opera" }, { "SamsungBrowser/(%d+)", "Samsung Internet" },
  { "Firefox/(%d+)", "Firefox" }, { "FxiOS/(%d+)", "Firefox" }, { "CriOS/(%d+)", "Chrome" },
  { "Chrome/(%d+)", "Chrome" }, { "Version/(%d+).*Safari", "Safari" }, { "MSIE (%d+)", "MSIE" },
  { "Trident/.*rv:(%d+)", "MSIE" },
}

-- Browser, version (a number) and system; nil for each that is not known.
function M.normalize_user_agent(text)
  local browser, version, system
  for _, known in ipairs(browsers) do
    local found = string.match(text, known[1])
    if found then
      browser, version = known[2], tonumber(found)
      break
    end
  end
  for _, known in ipairs(systems) do
    if string.find(text, known[1]) then
      system = known[2]
      break
    end
  end
  return browser, version, system
end

return M
