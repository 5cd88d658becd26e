--[[
Documents what messages there are: Logger, Type, EnvVersion and fields, with how often each was seen.

Reads the headers and fields of every message. Gives `Message Schema` (txt) every `ticker_interval`.
A field that is not in all messages of its kind is `optional` with its count; one with values of
several types is a `mismatch`.

    [message_schema]
    type = "SandboxFilter"
    filename = "lua_filters/heka_message_schema.lua"
    message_matcher = "Logger !~ /^heka/"
    ticker_interval = 60
    preserve_data = true
--]]

require "string"
require "table"

local TYPES = { [0] = "string", "bytes", "integer", "double", "bool" }

schema = { parts = {} }

local function part_of(parent, name)
  local part = parent.parts[name]
  if not part then
    part = { count = 0, parts = {}, fields = {} }
    parent.parts[name] = part
  end
  part.count = part.count + 1
  return part
end

local function note_field(fields, field)
  local type_name = TYPES[field.value_type or 0] or "unknown"
  local name = field.name
  if field.representation and field.representation ~= "" then
    type_name = type_name .. " (" .. field.representation .. ")"
  end
  local known = fields[name]
  if not known then
    fields[name] = { count = 1, type = type_name }
    return
  end
  known.count = known.count + 1
  if known.type ~= type_name then
    known.type = "mismatch"
  end
end

function process_message()
  local message = decode_message(read_message("raw"))
  local logger = part_of(schema, message.Logger or "")
  local version = part_of(part_of(logger, message.Type or ""), message.EnvVersion or "")
  local seen = {}
  for _, field in ipairs(message.Fields or {}) do
    if not seen[field.name] then
      seen[field.name] = true
      note_field(version.fields, field)
    end
  end
  return 0
end

local function sorted(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function print_part(part, label, depth)
  local indent = string.rep("    ", depth)
  add_to_payload(indent, label, " [", part.count, "]\n")
  for _, name in ipairs(sorted(part.parts)) do
    print_part(part.parts[name], name == "" and "-" or name, depth + 1)
  end
  for _, name in ipairs(sorted(part.fields)) do
    local field = part.fields[name]
    add_to_payload(indent, "    ", name, " (", field.type)
    if field.count < part.count then
      add_to_payload(" - optional [", field.count, "]")
    end
    add_to_payload(")\n")
  end
end

function timer_event(ns)
  for _, name in ipairs(sorted(schema.parts)) do
    print_part(schema.parts[name], name == "" and "-" or name, 0)
  end
  inject_payload("txt", "Message Schema")
end
