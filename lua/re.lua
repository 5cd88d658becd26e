--[[
Patterns written as text: the `re` module of LPeg 1.0, on top of `lpeg`.

    local re = require "re"
    local date = re.compile("{| {:year: %d^4 :} '-' {:month: %d^2 :} |}")
    local found = date:match("2026-11-22")

| syntax | what it matches |
| --- | --- |
| `'text'` `"text"` `.` `[class]` | the text, any byte, one byte of a class: `[a-z%s_]`, `[^...]` |
| `%name` | what `defs` has under the name, or a class: nl a c d g l p s u w x and A C D ... their opposites |
| `name` `<name>` | a rule |
| `p1 p2` `p1 / p2` `(p)` | one after the other, one or else the other |
| `&p` `!p` | where it matches, where it does not, consuming nothing |
| `p?` `p*` `p+` `p^3` `p^+3` `p^-3` | at most once, any times, at least once, exactly, at least, at most so often |
| `{p}` `{}` | captures the text, the position |
| `{:p:}` `{:name: p:}` `=name` | a group; with a name; the text captured under the name |
| `{| p |}` `{~ p ~}` | a table of the captures; the text with its captures put in |
| `p -> 'text'` `p -> 1` `p -> {}` | the captures in a text, one of them, a table of them |
| `p -> name` `p => name` `p ~> name` | given to what `defs` has: function or table, while matching, as a fold |
| `name <- p` | a rule; several make a grammar that begins with the first |
| `-- ...` | a comment, to the end of the line |
]]

local lpeg = require "lpeg"

local re = {}

local predefined

-- Patterns compiled for match, find and gsub, by their texts; they may be given up at any time.
local compiled, finders, substitutions

function re.updatelocale()
  local locale = lpeg.locale()
  predefined = { nl = lpeg.P("\n") }
  for letter, class in pairs({
    a = "alpha", c = "cntrl", d = "digit", g = "graph", l = "lower",
    p = "punct", s = "space", u = "upper", w = "alnum", x = "xdigit",
  }) do
    predefined[letter] = locale[class]
    predefined[letter:upper()] = lpeg.P(1) - locale[class]
  end
  compiled = setmetatable({}, { __mode = "v" })
  finders = setmetatable({}, { __mode = "v" })
  substitutions = setmetatable({}, { __mode = "v" })
end

re.updatelocale()

-- A parser is the text, the place in it, and what names mean.
local Parser = {}
Parser.__index = Parser

function Parser:fail(at)
  local rest = self.text:sub(at or self.at)
  if #rest > 20 then rest = rest:sub(1, 21) .. "..." end
  error("pattern error near '" .. rest .. "'", 0)
end

-- Passes over blanks and comments.
function Parser:skip()
  local at = self.at
  repeat
    at = self.text:find("[^ \t\r\n\v\f]", at) or #self.text + 1
    local is_comment = self.text:sub(at, at + 1) == "--"
    if is_comment then at = self.text:find("\n", at, true) or #self.text + 1 end
  until not is_comment
  self.at = at
end

-- Takes a token, if it is next, and what is blank behind it.
function Parser:take(token)
  if self.text:sub(self.at, self.at + #token - 1) ~= token then return false end
  self.at = self.at + #token
  self:skip()
  return true
end

-- Takes what a pattern of Lua captures at the place.
function Parser:scan(form)
  local first, last, found = self.text:find(form, self.at)
  if not first then return nil end
  self.at = last + 1
  return found
end

function Parser:expect(token)
  if not self:take(token) then self:fail() end
end

function Parser:name()
  local name = self:scan("^([%a][%w_]*)")
  if name then self:skip() end
  return name
end

-- Whether a rule begins here.
function Parser:at_rule()
  local at = self.at
  local is_rule = self:name() ~= nil and self.text:sub(self.at, self.at + 1) == "<-"
  self.at = at
  return is_rule
end

function Parser:string()
  local quote = self.text:sub(self.at, self.at)
  if quote ~= "'" and quote ~= '"' then return nil end
  local last = self.text:find(quote, self.at + 1, true)
  if not last then return nil end
  local text = self.text:sub(self.at + 1, last - 1)
  self.at = last + 1
  self:skip()
  return text
end

-- What `%name` stands for; the percent sign has been taken.
function Parser:defined()
  local name = self:scan("^([%a][%w_]*)") or self:fail()
  local found = self.defs and self.defs[name]
  if found == nil then found = predefined[name] end
  if found == nil then error("name '" .. name .. "' undefined", 0) end
  return lpeg.P(found)
end

-- What a name behind an arrow stands for.
function Parser:definition()
  local name = self:name() or self:fail()
  local found = self.defs and self.defs[name]
  if found == nil then error("undefined name: " .. name, 0) end
  return found
end

function Parser:class()
  local start = self.at
  self.at = start + 1
  local is_opposite = self:scan("^(%^)") ~= nil
  local set
  repeat
    local item
    if self:scan("^(%%)") then
      item = self:defined()
    else
      local low, high = self.text:match("^(.)%-([^%]])", self.at)
      if low then
        item = lpeg.R(low .. high)
        self.at = self.at + 3
      else
        local byte = self.text:sub(self.at, self.at)
        if byte == "" then self:fail(start) end
        item = lpeg.P(byte)
        self.at = self.at + 1
      end
    end
    set = set and set + item or item
  until self.text:sub(self.at, self.at) == "]"
  self.at = self.at + 1
  self:skip()
  if is_opposite then return lpeg.P(1) - set end
  return set
end

-- What stands in braces; the first has been taken.
function Parser:braces()
  if self:take(":") then
    local name = self:scan("^([%a][%w_]*)[ \t\r\n\v\f]*:%f[^:]")
    if name then self:skip() end
    local inner = self:choice()
    self:expect(":}")
    return lpeg.Cg(inner, name)
  elseif self:take("|") then
    local inner = self:choice()
    self:expect("|}")
    return lpeg.Ct(inner)
  elseif self:take("~") then
    local inner = self:choice()
    self:expect("~}")
    return lpeg.Cs(inner)
  elseif self:take("}") then
    return lpeg.Cp()
  end
  local inner = self:choice()
  self:expect("}")
  return lpeg.C(inner)
end

-- Matches what was captured under a name, again.
local function is_again(subject, at, captured)
  if type(captured) ~= "string" then return nil end
  local behind = at + #captured
  if subject:sub(at, behind - 1) == captured then return behind end
  return nil
end

-- The smallest pattern that begins here; nil where none does.
function Parser:primary()
  local byte = self.text:sub(self.at, self.at)
  if byte == "(" then
    self:take("(")
    local inner = self:choice()
    self:expect(")")
    return inner
  elseif byte == "'" or byte == '"' then
    return lpeg.P(self:string() or self:fail())
  elseif byte == "[" then
    return self:class()
  elseif byte == "%" then
    self.at = self.at + 1
    local found = self:defined()
    self:skip()
    return found
  elseif byte == "{" and not self.text:find("^{[:|~]?[:|~]}", self.at) then
    self:take("{")
    return self:braces()
  elseif byte == "=" and self.text:find("^=%s*%a", self.at) then
    self:take("=")
    return lpeg.Cmt(lpeg.Cb(self:name()), is_again)
  elseif byte == "." then
    self:take(".")
    return lpeg.P(1)
  elseif byte == "<" then
    self:take("<")
    local name = self:name() or self:fail()
    self:expect(">")
    return lpeg.V(name)
  elseif byte:find("%a") and not self:at_rule() then
    return lpeg.V(self:name())
  end
  return nil
end

-- The pattern exactly so many times.
local function times(pattern, count)
  local made = lpeg.P(true)
  for _ = 1, count do made = made * pattern end
  return made
end

function Parser:suffix()
  local pattern = self:primary()
  while pattern do
    if self:take("?") then
      pattern = pattern ^ -1
    elseif self:take("*") then
      pattern = pattern ^ 0
    elseif self:take("+") then
      pattern = pattern ^ 1
    elseif self:take("^") then
      local sign = self:scan("^([+-])")
      local count = tonumber(self:scan("^(%d+)") or self:fail())
      self:skip()
      if sign == "+" then
        pattern = pattern ^ count
      elseif sign == "-" then
        pattern = pattern ^ -count
      else
        pattern = times(pattern, count)
      end
    elseif self:take("->") then
      local text = self:string()
      local number = not text and self:scan("^(%d+)")
      if text then
        pattern = pattern / text
      elseif number then
        self:skip()
        pattern = pattern / tonumber(number)
      elseif self:take("{}") then
        pattern = lpeg.Ct(pattern)
      else
        pattern = pattern / self:definition()
      end
    elseif self:take("=>") then
      pattern = lpeg.Cmt(pattern, self:definition())
    elseif self:take("~>") then
      pattern = lpeg.Cf(pattern, self:definition())
    else
      return pattern
    end
  end
  return nil
end

function Parser:prefix()
  if self:take("&") then
    return #(self:prefix() or self:fail()) * lpeg.P(true)
  elseif self:take("!") then
    return -(self:prefix() or self:fail())
  end
  return self:suffix()
end

function Parser:sequence()
  local pattern = lpeg.P(true)
  while true do
    local next_one = self:prefix()
    if not next_one then return pattern end
    pattern = pattern * next_one
  end
end

function Parser:choice()
  local pattern = self:sequence()
  while self:take("/") do pattern = pattern + self:sequence() end
  return pattern
end

function Parser:grammar()
  local rules = {}
  while self:at_rule() do
    local name = self:name()
    self:expect("<-")
    if rules[name] then error("'" .. name .. "' already defined as a rule", 0) end
    rules[1] = rules[1] or name
    rules[name] = self:choice()
  end
  return lpeg.P(rules)
end

-- The pattern that a text describes; names in it mean what `defs` has under them. A pattern is given
-- back as it is.
function re.compile(text, defs)
  if lpeg.type(text) == "pattern" then return text end
  text = tostring(text)
  local parser = setmetatable({ text = text, at = 1, defs = defs }, Parser)
  parser:skip()
  local pattern
  if parser:at_rule() then pattern = parser:grammar() else pattern = parser:choice() end
  if parser.at <= #text then parser:fail() end
  return pattern
end

-- What `make` makes of a pattern, or of the text of one; of a text it is made once.
local function cached(cache, pattern, make)
  local made = cache[pattern]
  if not made then
    made = make(re.compile(pattern))
    if type(pattern) == "string" then cache[pattern] = made end
  end
  return made
end

local function itself(pattern) return pattern end

local function finder(pattern)
  return lpeg.P { lpeg.Cp() * (pattern / 0) * lpeg.Cp() + 1 * lpeg.V(1) }
end

-- Matches the pattern at `init`: its captures, or the position behind it; nil if it fails.
function re.match(subject, pattern, init)
  return lpeg.match(cached(compiled, pattern, itself), subject, init or 1)
end

-- Where the pattern matches first, from `init` on: the first and the last position; nil if nowhere.
function re.find(subject, pattern, init)
  local first, behind = lpeg.match(cached(finders, pattern, finder), subject, init or 1)
  if not first then return nil end
  return first, behind - 1
end

-- The subject with each match of the pattern replaced, as `pattern / replacement` does it.
function re.gsub(subject, pattern, replacement)
  if type(pattern) ~= "string" or type(replacement) ~= "string" then
    return lpeg.match(lpeg.Cs((re.compile(pattern) / replacement + 1) ^ 0), subject)
  end
  local whole = #pattern .. ":" .. pattern .. replacement
  local made = substitutions[whole]
  if not made then
    made = lpeg.Cs((re.compile(pattern) / replacement + 1) ^ 0)
    substitutions[whole] = made
  end
  return lpeg.match(made, subject)
end

return re
