--[[
Grammars of addresses.

    local ip_address = require "ip_address"
    local address = lpeg.C(ip_address.v4 + ip_address.v6)

`host` captures an address or a name with what it is: value and representation.
--]]

local l = require "lpeg"

local digit, hex = l.R("09"), l.R("09", "af", "AF")

local M = {}

local octet = "25" * l.R("05") + "2" * l.R("04") * digit + "1" * digit * digit
  + l.R("19") * digit + digit

M.v4 = octet * ("." * octet) * ("." * octet) * ("." * octet) * -digit

local h16 = hex * hex ^ -3
local colon_h16 = ":" * h16
local ls32 = M.v4 + h16 * colon_h16

-- So many times `h16 ":"`.
local function groups(count)
  local pattern = l.P(true)
  for _ = 1, count do
    pattern = pattern * h16 * ":"
  end
  return pattern
end

-- At most so many groups before the `::`.
local function before(count)
  return count < 1 and l.P(true) or (h16 * colon_h16 ^ (1 - count)) ^ -1
end

M.v6 = groups(6) * ls32
for right = 5, 0, -1 do
  M.v6 = M.v6 + before(5 - right) * "::" * groups(right) * ls32
end
M.v6 = M.v6 + before(6) * "::" * h16 + before(7) * "::"
M.v6 = M.v6 * -(hex + ":")

local name = (l.R("09", "az", "AZ") + l.S("-_.")) ^ 1

-- An address or a name, as a field with its representation.
M.host = l.Ct(
  l.Cg(M.v4 * -(l.R("az", "AZ") + l.S("-_")), "value") * l.Cg(l.Cc("ipv4"), "representation")
    + l.Cg(M.v6, "value") * l.Cg(l.Cc("ipv6"), "representation")
    + l.Cg(name, "value") * l.Cg(l.Cc("hostname"), "representation")
)

return M
