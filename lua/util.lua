--[[
Tables into fields.

    local util = require "util"
    local fields = {}
    util.table_to_fields({ a = { b = 1 } }, fields)   -- fields["a.b"] is 1
--]]

require "cjson"
require "table"

local M = {}

-- Puts what a table holds into `fields`, with the path to each value as its name. What lies deeper
-- than `max_depth` becomes JSON.
function M.table_to_fields(t, fields, parent, separator, max_depth)
  separator = separator or "."
  local depth = max_depth and max_depth - 1
  for name, value in pairs(t) do
    local path = parent and parent .. separator .. name or tostring(name)
    if type(value) ~= "table" then
      fields[path] = value
    elseif depth and depth <= 0 then
      fields[path] = cjson.encode(value)
    else
      M.table_to_fields(value, fields, path, separator, depth)
    end
  end
end

-- The array from `index` on, as a new one.
function M.behead_array(index, array)
  local rest = {}
  for at = index, #array do
    rest[#rest + 1] = array[at]
  end
  return rest
end

return M
