-- Shows what a function returns, or the error it raises, as one line. Runs under Lua 5.1 and here.

local function show(value)
  local kind = type(value)
  if kind == "table" then
    local out, names = {}, {}
    local length = #value
    for index = 1, length do out[index] = show(value[index]) end
    for name in pairs(value) do
      if type(name) ~= "number" or name < 1 or name > length then names[#names + 1] = name end
    end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    for _, name in ipairs(names) do
      out[#out + 1] = tostring(name) .. "=" .. show(value[name])
    end
    return "{" .. table.concat(out, " ") .. "}"
  elseif kind == "string" or kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  return kind
end

local function all(...)
  local out = {}
  for index = 1, select("#", ...) do out[index] = show((select(index, ...))) end
  return table.concat(out, " ")
end

local function told(ok, ...)
  if ok then return all(...) end
  local text = tostring((...))
  -- The place in the script, which begins with the name of a file.
  text = text:gsub("^%(command line%):%d+: ", ""):gsub("^[^ ]*:%d+: ", ""):gsub("^%[string .-%]:%d+: ", "")
  return "error: " .. text:gsub("bad argument (#%d) to '[^']*'", "bad argument %1")
end

function shown(call, ...)
  return told(pcall(call, ...))
end
