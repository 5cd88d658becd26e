--[[
Lines of Elasticsearch's bulk API.

    local elasticsearch = require "elasticsearch"
    elasticsearch.bulkapi_index_json("heka-%{%Y.%m.%d}", "message", "%{request_id}", ns)
--]]

require "cjson"
require "math"

local interpolate = require("msg_interpolate").interpolate_from_msg

local M = {}

-- The line before a document: where it goes. Nil leaves a part out; parts may hold `%{…}`, and their
-- times are those of `ns`, or of now.
function M.bulkapi_index_json(index, type_name, id, ns)
  local seconds = ns and math.floor(ns / 1e9) or os.time()
  local part = function(name, text)
    if not text then
      return ""
    end
    return ',"' .. name .. '":' .. cjson.encode(interpolate(text, seconds))
  end
  local parts = part("_index", index) .. part("_type", type_name) .. part("_id", id)
  return '{"index":{' .. string.sub(parts, 2) .. "}}"
end

return M
