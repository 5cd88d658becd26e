--[[
The grammar of BIND's log of queries.

    local bind = require "bind"
    local t = bind.query_log_grammar:match(line)
    -- t.Timestamp in nanoseconds, and t.Fields
--]]

local l = require "lpeg"

require "string"

local date_time = require "date_time"
local ip_address = require "ip_address"

local digit = l.R("09")
local time = date_time.build_strftime_grammar("%d-%b-%Y %H:%M:%S") / date_time.time_to_ns
local timestamp = time * ("." * l.C(digit ^ 1) + l.Cc("0")) / function(ns, fraction)
  return ns + tonumber("0." .. fraction) * 1e9
end

local address = l.Ct(
  l.Cg(ip_address.v4, "value") * l.Cg(l.Cc("ipv4"), "representation")
    + l.Cg(ip_address.v6, "value") * l.Cg(l.Cc("ipv6"), "representation")
)
local word = (1 - l.S(" ():\n")) ^ 1

-- What the letters behind a query mean.
local flags = { S = "signed", E = "EDNS", T = "TCP", D = "DNSSEC OK", C = "checking disabled", V = "valid cookie", K = "cookie" }
local flag = l.P("+") * l.Cc("recursion requested") + l.P("-") * l.Cc("recursion not requested")
  + "E" * ("(" * digit ^ 1 * ")") * l.Cc(flags.E) + l.S("SETDCVK") / flags

-- The name without its first label.
local function domain_of(name)
  return string.match(name, "^[^.]+%.(.+)$") or name
end

local query = l.Cg(word, "FullQuery") * l.Cg(l.Cb("FullQuery") / domain_of, "QueryDomain")
  * l.Cg(l.Cb("FullQuery") / function(name)
    return string.match(name, "^[^.]+")
  end, "QueryName")

local fields = l.Ct(
  "client " * ("@" * word * " ") ^ -1
    * l.Cg(address, "ClientIP") * "#" * l.Cg(digit ^ 1 / tonumber, "ClientEphemeralPort")
    * (" (" * (1 - l.P(")")) ^ 0 * ")") ^ -1 * ": "
    * ("view " * word * ": ") ^ -1
    * "query: " * query * " " * l.Cg(word, "RecordClass") * " " * l.Cg(word, "RecordType") * " "
    * l.Cg(l.Ct(flag ^ 1), "QueryFlags")
    * (" (" * l.Cg(address, "ServerRespondingIP") * ")") ^ -1
)

local M = {}

M.query_log_grammar = l.Ct(
  l.Cg(timestamp, "Timestamp") * " " * ("queries: " * ((1 - l.S(": ")) ^ 1 * ": ") ^ -1) ^ -1
    * l.Cg(fields, "Fields")
)

return M
