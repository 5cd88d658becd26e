--[[
Finds the values of a part of the message that are seen most, in bounded memory.

Reads Timestamp and `message_variable`. Gives a table `Weighting by …` (tsv) every
`ticker_interval`: a value and its weight a line. A weight is at most the true count, and less by at
most the number of messages divided by `max_items` (Misra and Gries).

    [frequent_items]
    type = "SandboxFilter"
    filename = "lua_filters/frequent_items.lua"
    message_matcher = "Type == 'nginx.access'"
    ticker_interval = 60
    preserve_data = true

    [frequent_items.config]
    message_variable = "Fields[remote_addr]"
    max_items = 1000
    min_output_weight = 100
    reset_days = 1             # starts anew after so many days (UTC); 0 never does
--]]

require "math"
require "string"
require "table"

local DAY = 24 * 3600 * 1e9

local message_variable = read_config("message_variable")
if not message_variable then
  error("frequent_items needs message_variable in its config")
end
local max_items = read_config("max_items") or 1000
local min_output_weight = read_config("min_output_weight") or 100
local reset_days = read_config("reset_days") or 1
local title = string.match(message_variable, "^Fields%[(.*)%]$") or message_variable

items = {}
items_count = 0
first_day = nil

-- Takes one from every weight, which makes room.
local function decrement()
  for item, weight in pairs(items) do
    if weight > 1 then
      items[item] = weight - 1
    else
      items[item] = nil
      items_count = items_count - 1
    end
  end
end

function process_message()
  local item = read_message(message_variable)
  if item == nil then
    return -1
  end
  local day = math.floor(read_message("Timestamp") / DAY)
  first_day = first_day or day
  if reset_days > 0 and day >= first_day + reset_days then
    items, items_count, first_day = {}, 0, day
  end
  local weight = items[item]
  if weight then
    items[item] = weight + 1
  elseif items_count < max_items then
    items[item] = 1
    items_count = items_count + 1
  else
    decrement()
  end
  return 0
end

function timer_event(ns)
  local shown = {}
  for item, weight in pairs(items) do
    if weight >= min_output_weight then
      shown[#shown + 1] = { name = tostring(item), weight = weight }
    end
  end
  table.sort(shown, function(a, b)
    return a.weight > b.weight or (a.weight == b.weight and a.name < b.name)
  end)
  add_to_payload(title, "\tWeight\n")
  for _, item in ipairs(shown) do
    add_to_payload(item.name, "\t", item.weight, "\n")
  end
  inject_payload("tsv", "Weighting by " .. title)
end
