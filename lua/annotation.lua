--[[
Notes on graphs: what is written at a point of a column.

    local annotation = require "annotation"
    annotation.add("title", ns, 1, "A", "what happened")
    inject_payload("cbuf", "title", annotation.prune("title", ns), graph)

Annotations are kept for a day unless `set_prune` says otherwise, in the global `_ANNOTATIONS`.
--]]

require "cjson"
require "math"

local DAY = 24 * 3600 * 1e9

-- For each graph: the notes, and after how many nanoseconds they go.
_ANNOTATIONS = _ANNOTATIONS or {}

local function of(name)
  local known = _ANNOTATIONS[name]
  if not known then
    known = { notes = {}, prune = DAY }
    _ANNOTATIONS[name] = known
  end
  return known
end

local M = {}

-- Makes an annotation, for `concat`.
function M.create(ns, column, short, text)
  return { x = math.floor(ns / 1e6), col = column, shortText = short, text = text }
end

-- Adds one to a graph.
function M.add(name, ns, column, short, text)
  local notes = of(name).notes
  notes[#notes + 1] = M.create(ns, column, short, text)
end

-- Adds a list of them to a graph.
function M.concat(name, list)
  local notes = of(name).notes
  for _, note in ipairs(list or {}) do
    notes[#notes + 1] = note
  end
end

-- Drops what is too old; what is left as a line of JSON, nil when nothing is.
function M.prune(name, ns)
  local known = of(name)
  local first, kept = (ns - known.prune) / 1e6, {}
  for _, note in ipairs(known.notes) do
    if note.x >= first then
      kept[#kept + 1] = note
    end
  end
  known.notes = kept
  if #kept == 0 then
    return nil
  end
  return cjson.encode({ annotations = kept }) .. "\n"
end

-- Drops all annotations of a graph.
function M.remove(name)
  _ANNOTATIONS[name] = nil
end

-- Sets after how many nanoseconds those of a graph go.
function M.set_prune(name, ns)
  of(name).prune = ns
end

return M
