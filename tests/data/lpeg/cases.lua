-- What patterns do, by the LPeg manual: a function and what it returns. Needs show.lua. Runs under
-- Lua 5.1 with LPeg in C as well, which must agree.

local lpeg = require "lpeg"
local P, S, R, V, B = lpeg.P, lpeg.S, lpeg.R, lpeg.V, lpeg.B
local C, Cc, Cg, Cb, Cf = lpeg.C, lpeg.Cc, lpeg.Cg, lpeg.Cb, lpeg.Cf
local Cs, Ct, Cmt, Carg, Cp = lpeg.Cs, lpeg.Ct, lpeg.Cmt, lpeg.Carg, lpeg.Cp
local match = lpeg.match

local function pack(...) return { n = select("#", ...), ... } end

local digit = R "09"
local number = digit ^ 1 / tonumber

local cases = {
  -- Values that become patterns.
  { function() return match("abc", "abcd") end, "4" },
  { function() return match("abc", "xabc") end, "nil" },
  { function() return match(2, "ab"), match(3, "ab") end, "3 nil" },
  { function() return match(-3, "ab"), match(-2, "ab") end, "1 nil" },
  { function() return match(true, ""), match(false, "") end, "1 nil" },
  { function() return match(function(s, at) return at + 2 end, "abc") end, "3" },
  { function() return match(function() return false end, "abc") end, "nil" },
  { function() return lpeg.type(P(1)), lpeg.type("a"), lpeg.type(#P(1)) == nil end, "pattern nil false" },
  { function() return P(nil) end, "error: bad argument #1 (lpeg-pattern expected, got nil)" },
  -- Sets and ranges.
  { function() return match(S "+-" * R("az", "AZ"), "-q") end, "3" },
  { function() return match(S "", "a"), match(R(), "a") end, "nil nil" },
  { function() return match(R("za"), "m") end, "nil" },
  { function() return match((S "abc" + R "xz") ^ 0, "axbzq") end, "5" },
  { function() return match((1 - S "ab") ^ 1, "xya") end, "3" },
  { function() return match(P "\0" * 1, "\0a") end, "3" },
  { function() return R "abc" end, "error: bad argument #1 (range must have two characters)" },
  -- Where a match begins.
  { function() return match("a", "xxa", 3), match("a", "xxa", -1) end, "4 4" },
  { function() return match("a", "xxa", -10), match(Cp(), "xxa", 10) end, "nil 4" },
  { function() return match(Cp(), "xxa", 0) end, "4" },
  -- Operators.
  { function() return match(P "a" * "b" * "c", "abc") end, "4" },
  { function() return match(P "ab" + "ac", "ac") end, "3" },
  { function() return match(P "a" ^ 0 * "b", "aaab") end, "5" },
  { function() return match(P "a" ^ 2, "a"), match(P "a" ^ 2, "aaa") end, "nil 4" },
  { function() return match(P "ab" ^ -2, "ababab") end, "5" },
  { function() return match(P "ab" ^ -2 * "c", "abc") end, "4" },
  { function() return match((P "a" + "ab") * "c", "abc") end, "nil" },
  { function() return match(#P "a" * P(1), "ab"), match(#P "b" * P(1), "ab") end, "2 nil" },
  { function() return match(#C "ab" * C(1), "abc") end, "a" },
  { function() return match(-P "b" * 1, "ab"), match(-P "a" * 1, "ab") end, "2 nil" },
  { function() return match(-#P "b" * P(1), "ab") end, "2" },
  { function() return match((P(1) - "end") ^ 0 * "end", "the end") end, "8" },
  { function() return match(P(1) ^ 0 * B "b" * -1, "aab") end, "4" },
  { function() return match(1 * B(P "a"), "ab"), match(B "a", "ab") end, "2 nil" },
  { function() return P "a" ^ {} end, "error: bad argument #2 (number expected, got table)" },
  { function() return (P "a" ^ -1) ^ 0 end, "error: loop body may accept empty string" },
  { function() return B(P "a" ^ 1) end, "error: bad argument #1 (pattern may not have fixed length)" },
  { function() return B(C "a") end, "error: bad argument #1 (pattern have captures)" },
  { function() return B(P(300)) end, "error: bad argument #1 (pattern too long to look behind)" },
  -- Captures of text, positions, constants and arguments.
  { function() return match(C(R "az" ^ 1) * "," * C(digit ^ 1), "abc,12") end, "abc 12" },
  { function() return match(C(C "a" * C "b"), "ab") end, "ab a b" },
  { function() return match(C "", "x") end, "" },
  { function() return match(Cp() * "ab" * Cp(), "ab") end, "1 3" },
  { function() return match(Cc(1, "x", nil, true) * 1, "a") end, "1 x nil true" },
  { function() return match(Cc(), "a") end, "1" },
  { function() return match(Carg(2) * Carg(1), "a", 1, "x", nil) end, "nil x" },
  { function() return match(Carg(1), "a") end, "error: reference to absent extra argument #1" },
  -- Tables and groups.
  { function() return match(Ct(C(1) ^ 0), "abc") end, "{a b c}" },
  { function() return match(Ct(P "a"), "a") end, "{}" },
  { function() return match(Ct(Cg(C(1), "x") * Cg(1, 7) * C(1)), "abc") end, "{c 7=b x=a}" },
  { function() return match(Ct(Cg(C(1) * C(1), "x")), "ab") end, "{x=a}" },
  { function() return match(Ct(Ct(C(1)) ^ 0), "ab") end, "{{a} {b}}" },
  { function() return match(Ct(Cg(C(1) * C(1)) * Cc(3)), "ab") end, "{a b 3}" },
  { function() return pack(match(Ct(Cc(nil) * Cc(2)), "")[2]).n end, "1" },
  { function() return match(Cg("a", "x") * 1, "ab") end, "3" },
  { function() return match(Cg("a", "x") * Cb "x" * Cb "x", "ab") end, "a a" },
  { function() return match(Cg(C "a" * C "b", "x") * Cb "x", "ab") end, "a b" },
  { function() return match(Cg("a", "x") * Cg("b", "x") * Cb "x", "ab") end, "b" },
  { function() return match(Ct(Cg("a", "x")) * Cb "x", "a") end, "error: back reference 'x' not found" },
  -- Divisions.
  { function() return match(C(1) * C(1) / "%2-%1-%0-%%-%x", "ab") end, "b-a-ab-%-x" },
  { function() return match(C(C(1) * 1) / "%2%1", "ab") end, "aab" },
  { function() return match(P "a" / "%1", "a") end, "error: invalid capture index (1)" },
  { function() return match(number * "+" * number / function(a, b) return a + b end, "3+4") end, "7" },
  { function() return match(P "a" / function() end, "a") end, "2" },
  { function() return match(P "a" / function() return 1, nil, 3 end, "a") end, "1 nil 3" },
  { function() return match(C(1) / { a = "A" }, "a"), match(C(1) / { a = "A" }, "b") end, "A 2" },
  { function() return match(P "a" / { a = false }, "a") end, "false" },
  { function() return match(C(1) * C(1) / 2, "ab"), match(C(1) / 0, "ab") end, "b 2" },
  { function() return match(C(1) / 3, "ab") end, "error: no capture '3'" },
  { function() return P "a" / true end, "error: bad argument #2 (invalid replacement value)" },
  -- Substitutions and folds.
  { function() return match(Cs((P "a" / "b" + 1) ^ 0), "abca") end, "bbcb" },
  { function() return match(Cs((P "a" / 0 + 1) ^ 0), "abca") end, "abca" },
  { function() return match(Cs((digit / { ["1"] = "one" } + 1) ^ 0), "1 2") end, "one 2" },
  { function() return match(Cs(C "a" * (C "b" / string.upper) * "c"), "abc") end, "aBc" },
  { function() return match(Cs(Cs(P "a" / "x") * P "b" / "%0%0"), "ab") end, "abab" },
  { function() return match(Cs(P "a" / function() return {} end), "a") end,
    "error: invalid replacement value (a table)" },
  { function() return match(Cf(number * ("+" * number) ^ 0, function(a, b) return a + b end), "1+2+3") end,
    "6" },
  { function()
    local pair = Cg(C(R "az") * "=" * C(R "az")) * P ";" ^ -1
    return match(Cf(Ct "" * pair ^ 0, rawset), "a=b;c=d")
  end, "{a=b c=d}" },
  { function() return match(Cf(P "a", print), "a") end, "error: no initial value for fold capture" },
  -- Captures that are asked while matching.
  { function() return match(Cmt(C(1), function(s, at, c) return true, s, at, c end), "ab") end,
    "ab 2 a" },
  { function() return match(Cmt(P "a", function(_, at) return at + 1 end) * Cp(), "abc") end, "3" },
  { function() return match(Cmt(1, function() return nil end) + C "ab", "ab") end, "ab" },
  { function() return match(Ct(Cmt(C(1), function(_, _, c) return c ~= "b", c end) ^ 0), "aab") end,
    "{a a}" },
  { function() return match(Cmt(1, function(_, at) return at + 9 end), "a") end,
    "error: invalid position returned by match-time capture" },
  { function()
    local open = "[" * Cg(P "=" ^ 0, "eq") * "["
    local close = "]" * C(P "=" ^ 0) * "]"
    local same = Cmt(close * Cb "eq", function(_, _, a, b) return a == b end)
    return match(open * C((1 - same) ^ 0) * close / 1, "[==[a]]b]=]c]==]")
  end, "a]]b]=]c" },
  { function()
    return match(Cs(Cmt("a", function() return true, "x" end) * 1), "ab")
  end, "xb" },
  { function()
    local inner = Cmt(C(1), function(_, _, c) return true, match(Ct(C(1) ^ 0), c .. c) end)
    return match(inner * inner, "ab")
  end, "{a a} {b b}" },
  -- Grammars.
  { function() return match({ "a" * V(1) * "b" + P(true) }, "aabbb") end, "5" },
  { function() return match({ "x", x = V "y" * V "y", y = C(1) }, "ab") end, "a b" },
  { function() return match({ [1] = V "y" ^ 0 * -1, y = P "a" + "b" }, "abab") end, "5" },
  { function()
    local balanced = P { "(" * ((1 - S "()") + V(1)) ^ 0 * ")" }
    return match(balanced, "(a(b)(c(d)))x"), match(balanced, "((a)")
  end, "13 nil" },
  { function()
    local exp = P { "sum",
      sum = Cf(V "product" * Cg(C(S "+-") * V "product") ^ 0, function(a, op, b)
        if op == "+" then return a + b end
        return a - b
      end),
      product = Cf(V "value" * Cg(C(S "*/") * V "value") ^ 0, function(a, op, b)
        if op == "*" then return a * b end
        return a / b
      end),
      value = number + "(" * V "sum" * ")",
    }
    return match(exp * -1, "2*(3+4)-10/5")
  end, "12" },
  { function() return match(P { V "x" }, "a") end, "error: rule 'x' undefined in given grammar" },
  { function() return match(V "x", "a") end, "error: rule 'x' used outside a grammar" },
  { function() return P { V(1) * "a" } end, "error: rule '1' may be left recursive" },
  { function() return P { "a", a = P "x" ^ -1 * V "b", b = V "a" } end,
    "error: rule 'a' may be left recursive" },
  { function() return P { "a", a = V "b" ^ 0, b = P "x" ^ -1 } end, "error: empty loop in rule 'a'" },
  { function() return P {} end, "error: grammar has no initial rule" },
  { function() return P { "a", a = P "x", b = 3 } end, "error: rule 'b' is not a pattern" },
  { function() return match(P { P "a" * V(1) * "b" + "c" }, ("a"):rep(999)) end,
    "error: backtrack stack overflow (current limit is 400)" },
  -- Classes.
  { function()
    local c = lpeg.locale {}
    return match(c.alpha ^ 1 * c.space * c.digit ^ 1 * c.punct * c.xdigit * c.upper, "ab 12;fZ")
  end, "9" },
}

function wrong()
  local out = {}
  for index, case in ipairs(cases) do
    local found = shown(case[1])
    if found ~= case[2] then out[#out + 1] = index .. ": " .. found .. ", not " .. case[2] end
  end
  return table.concat(out, "\n")
end
