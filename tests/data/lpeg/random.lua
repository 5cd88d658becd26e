-- Makes a pattern and a subject of a number and shows what comes of them; needs show.lua.

local lpeg = require "lpeg"

local state = 1
local function below(count)
  -- Exact in doubles, so the same under every Lua.
  state = (state * 16807) % 2147483647
  return math.floor(state / 65536) % count
end

local LETTERS = { "a", "b", "c" }

local function letter() return LETTERS[below(3) + 1] end

local function word()
  local out = {}
  for index = 1, below(3) + 1 do out[index] = letter() end
  return table.concat(out)
end

local make

local LEAVES = {
  function() return lpeg.P(word()) end,
  function() return lpeg.P(letter()) end,
  function() return lpeg.S(word()) end,
  function() return lpeg.R("ab") end,
  function() return lpeg.P(below(4) - 1) end,
  function() return lpeg.P(1) end,
  function() return lpeg.P(below(2) == 1) end,
  function() return lpeg.Cp() end,
  function() return lpeg.Cc(below(9), letter()) end,
  function() return lpeg.Cc() end,
  function() return lpeg.Cb(letter()) end,
  function() return lpeg.Carg(1) end,
  function() return lpeg.B(lpeg.P(letter())) end,
}

local function first(...) return (...) end
local function count(...) return select("#", ...) end

local NODES = {
  function(depth) return make(depth) * make(depth) end,
  function(depth) return make(depth) * make(depth) end,
  function(depth) return make(depth) * make(depth) * make(depth) end,
  function(depth) return make(depth) + make(depth) end,
  function(depth) return make(depth) + make(depth) end,
  function(depth) return make(depth) + make(depth) + make(depth) + make(depth) + make(depth) end,
  function(depth) return make(depth) - make(depth) end,
  function(depth) return -make(depth) end,
  function(depth) return #make(depth) * make(depth) end,
  function(depth) return make(depth) ^ 0 end,
  function(depth) return make(depth) ^ 1 end,
  function(depth) return make(depth) ^ below(3) end,
  function(depth) return make(depth) ^ -1 end,
  function(depth) return make(depth) ^ -2 end,
  function(depth) return lpeg.C(make(depth)) end,
  function(depth) return lpeg.C(make(depth)) end,
  function(depth) return lpeg.Ct(make(depth)) end,
  function(depth) return lpeg.Cg(make(depth)) end,
  function(depth) return lpeg.Cg(make(depth), letter()) end,
  function(depth) return lpeg.Cs(make(depth)) end,
  function(depth) return make(depth) / "<%0>" end,
  function(depth) return make(depth) / "%1%%%2" end,
  function(depth) return make(depth) / below(3) end,
  function(depth) return make(depth) / { a = "A", b = false, ab = 7 } end,
  function(depth) return make(depth) / first end,
  function(depth) return make(depth) / count end,
  function(depth) return make(depth) / function() end end,
  function(depth) return lpeg.Cf(make(depth), function(a, b) return type(a) .. type(b) end) end,
  function(depth)
    return lpeg.Cmt(make(depth), function(_, at, ...) return at % 3 ~= 0, ... end)
  end,
  function(depth)
    return lpeg.Cmt(make(depth), function(s, at) return math.min(at + 1, #s + 1) end)
  end,
  function(depth)
    local rest = lpeg.V(2)
    return lpeg.P { make(depth) * rest + make(depth), make(depth) + lpeg.P(letter()) * lpeg.V(1) }
  end,
  function(depth)
    return lpeg.P { "x", x = letter() * lpeg.V("y") ^ -1 + make(depth), y = make(depth) * lpeg.V("x") }
  end,
  function(depth)
    local p, q = lpeg.V(1), make(depth)
    return lpeg.P { lpeg.C(letter() * p + letter()) + q }
  end,
}

function make(depth)
  if depth <= 0 or below(5) == 0 then return LEAVES[below(#LEAVES) + 1]() end
  return NODES[below(#NODES) + 1](depth - 1)
end

function attempt(seed)
  state = seed * 7919 + 1
  for _ = 1, 3 do below(2) end
  local subject = {}
  for index = 1, below(9) do subject[index] = letter() end
  subject = table.concat(subject)
  local ok, pattern = pcall(make, below(4) + 2)
  if not ok then return "no pattern: " .. shown(function() error(pattern, 0) end) end
  return subject .. ": " .. shown(lpeg.match, pattern, subject, 1, "arg")
end
