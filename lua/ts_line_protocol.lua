--[[
Messages as lines for InfluxDB (0.9 and later) and Graphite's Carbon.

    local ts_line_protocol = require "ts_line_protocol"
    local settings = ts_line_protocol.set_config({ tag_fields = "Hostname", timestamp_precision = "s" })
    for _, line in ipairs(ts_line_protocol.influxdb_line_msg(settings)) do … end

Settings, all of them optional: `decimal_precision` (digits after the point, 6), `name_prefix`
(interpolated), `name_prefix_delimiter`, `skip_fields`, `source_value_field` (only this field is a
value, and the name is the prefix), `tag_fields` (`**all_base**`), `timestamp_precision` (ms),
`value_field_key` (value). The lists have spaces between their names.
--]]

require "math"
require "string"
require "table"

local field_util = require "field_util"
local interpolate = require("msg_interpolate").interpolate_from_msg

local BYTES = 1

local M = {}

-- What the functions below want, from the settings as they are written.
function M.set_config(settings)
  local cfg = {
    decimals = "%." .. (tonumber(settings.decimal_precision) or 6) .. "f",
    prefix = settings.name_prefix,
    delimiter = settings.name_prefix_delimiter,
    source = settings.source_value_field,
    precision = settings.timestamp_precision or "ms",
    key = settings.value_field_key or "value",
  }
  cfg.skip, cfg.skip_base, cfg.skip_all = field_util.field_map(settings.skip_fields)
  cfg.tags, cfg.tags_base, cfg.tags_all = field_util.field_map(settings.tag_fields or "**all_base**")
  return cfg
end

local function escape(text)
  return (string.gsub(string.gsub(tostring(text), "[ ,=]", "\\%0"), "\n", "\\ "))
end

-- The values of all fields that are not skipped: name, value, and the name with the number of the
-- field among those of its name and of the value in it, where there are several.
local function values()
  local found, seen = {}, {}
  for _, field in ipairs(decode_message(read_message("raw")).Fields or {}) do
    local nth = seen[field.name] or 0
    seen[field.name] = nth + 1
    if field.value_type ~= BYTES then
      for at, value in ipairs(field.value) do
        local unique = field.name
        if nth > 0 then
          unique = unique .. "_fidx_" .. nth
        end
        if at > 1 then
          unique = unique .. "_vidx_" .. (at - 1)
        end
        found[#found + 1] = { name = field.name, unique = unique, value = value }
      end
    end
  end
  return found
end

local function prefixed(cfg, name, delimiter)
  if not cfg.prefix or cfg.prefix == "" then
    return name
  end
  local prefix = interpolate(cfg.prefix)
  if name == "" then
    return prefix
  end
  return prefix .. (cfg.delimiter or delimiter) .. name
end

-- The values that become lines, with the names of their lines.
local function series(cfg, delimiter)
  local lines = {}
  for _, entry in ipairs(values()) do
    if cfg.source then
      if entry.name == cfg.source then
        local name = prefixed(cfg, cfg.prefix and "" or entry.unique, delimiter)
        lines[#lines + 1] = { name = name, value = entry.value }
      end
    elseif not cfg.skip[entry.name] and not cfg.tags[entry.name] then
      local name = prefixed(cfg, entry.unique, delimiter)
      lines[#lines + 1] = { name = name, value = entry.value }
    end
  end
  return lines
end

local function tags_of(cfg)
  local tags = {}
  local add = function(name, value)
    if value ~= nil and value ~= "" then
      tags[#tags + 1] = "," .. escape(name) .. "=" .. escape(value)
    end
  end
  for _, name in ipairs(field_util.used_base_fields(cfg.skip)) do
    -- A payload is no tag unless it is named.
    if cfg.tags[name] and (name ~= "Payload" or not (cfg.tags_base or cfg.tags_all)) then
      add(name, read_message(name))
    end
  end
  for _, entry in ipairs(values()) do
    local is_tag = cfg.tags[entry.name] or (cfg.tags_all and type(entry.value) == "string")
    if is_tag and not cfg.skip[entry.name] and entry.name ~= cfg.source then
      add(entry.unique, entry.value)
    end
  end
  table.sort(tags)
  return table.concat(tags)
end

local function influx_value(cfg, value)
  if type(value) == "number" then
    if value ~= value or value == math.huge or value == -math.huge then
      return nil
    end
    return string.format(cfg.decimals, value)
  end
  if type(value) == "boolean" then
    return tostring(value)
  end
  return '"' .. string.gsub(tostring(value), '[\\"]', "\\%0") .. '"'
end

-- The lines of the message for InfluxDB: `name,tag=… value=… time`.
function M.influxdb_line_msg(cfg)
  local lines = {}
  local time = string.format("%.0f", field_util.message_timestamp(cfg.precision))
  local tags = tags_of(cfg)
  for _, entry in ipairs(series(cfg, ".")) do
    local value = influx_value(cfg, entry.value)
    if value and not (cfg.tags_all and not cfg.source and type(entry.value) == "string") then
      local name = escape(entry.name)
      lines[#lines + 1] = name .. tags .. " " .. escape(cfg.key) .. "=" .. value .. " " .. time
    end
  end
  return lines
end

-- What `set_config` makes of the configuration of the script.
function M.of_script()
  local source = read_config("source_value_field")
  return M.set_config({
    decimal_precision = read_config("decimal_precision"),
    name_prefix = read_config("name_prefix"),
    name_prefix_delimiter = read_config("name_prefix_delimiter"),
    skip_fields = read_config("skip_fields"),
    source_value_field = source ~= "" and source or nil,
    tag_fields = read_config("tag_fields"),
    timestamp_precision = read_config("timestamp_precision"),
    value_field_key = read_config("value_field_key"),
  })
end

-- The lines of the message for Carbon: `name value seconds`, of the fields with numbers.
function M.carbon_line_msg(cfg)
  local lines = {}
  local time = string.format("%.0f", field_util.message_timestamp("s"))
  local untagged = setmetatable({ tags = {} }, { __index = cfg })
  for _, entry in ipairs(series(untagged, ".")) do
    if type(entry.value) == "number" and entry.value == entry.value then
      -- Dots divide a name; nothing else that is no letter or digit may stand in one.
      local name = string.gsub(entry.name, "[^%w_.]", "_")
      lines[#lines + 1] = name .. " " .. tostring(entry.value) .. " " .. time
    end
  end
  return lines
end

return M
