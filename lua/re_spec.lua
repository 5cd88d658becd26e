-- What each of these returns, as a JSON array.
local cases = {
  { "texts, any byte and classes", {
    { [[re.match("hello", "'h' .")]], "[3]" },
    { [[re.match("hello", "'x'")]], "{}" },
    { [=[re.match("a-c", "[a-]+ {}")]=], "[3]" },
    { [=[re.match("ab]", "[]a]")]=], "[2]" },
    { [=[re.match("ab 12", "[%a%s]+ {}")]=], "[4]" },
    { [=[re.match("abc", "[^c]+ {}")]=], "[3]" },
    { [[re.match("a\n", "%a %nl !.")]], "[3]" },
    { [[re.match("é", "%A+ {}")]], "[3]" },
  } },
  { "repetitions and predicates", {
    { [[re.match("aaab", "'a'^2 {}")]], "[3]" },
    { [[re.match("aaab", "'a'^+2 {}")]], "[4]" },
    { [[re.match("aaab", "'a'^-2 {}")]], "[3]" },
    { [[re.match("a", "'b'? 'a'* {}")]], "[2]" },
    { [[re.match("abc", "&'a' !'b' . {}")]], "[2]" },
  } },
  { "captures of every kind", {
    { [[re.match("ab", "{| {.} {:x: . :} |}").x]], '["b"]' },
    { [[re.match("ab", "({.} {.}) -> {}")[2] ]], '["b"]' },
    { [[re.match("abc", "{~ ('b' -> 'X' / .)* ~}")]], '["aXc"]' },
    { [[re.match("ab", "({.} {.}) -> '%2%1'")]], '["ba"]' },
    { [[re.match("ab", "({.} {.}) -> 2")]], '["b"]' },
    { [[re.match("xyx", "{:k: . :} . =k {}")]], "[4]" },
    { [[re.match("xyz", "{:k: . :} . =k {}")]], "{}" },
    { [[re.match("aa", "{:'a':} {:'a':}")]], '["a","a"]' },
  } },
  { "rules", {
    { [[re.match("ab", "S <- {A} B  A <- 'a' -- a comment" .. "\n B <- 'b'")]], '["a"]' },
    { [[re.match("((a))", "x <- '(' <x> ')' / 'a'")]], "[6]" },
  } },
  { "names that mean what the caller says", {
    { [[re.match("12+3", re.compile("S <- (N ('+' N)*) ~> add  N <- [0-9]+ -> num",
        { add = function(a, b) return a + b end, num = tonumber }))]], "[15]" },
    { [[re.match("ab", re.compile("'a' %x", { x = lpeg.P("b") }))]], "[3]" },
    { [[re.match("ab", re.compile("{.} => f", { f = function(_, at, c) return at + 1, c end }))]], '["a"]' },
    { [[re.match("a", re.compile("{.} -> t", { t = { a = 7 } }))]], "[7]" },
  } },
  { "searching and replacing", {
    { [[re.find("hello world", "{'o'} %s")]], "[5,6]" },
    { [[re.find("abcabc", "'a'", 2)]], "[4,4]" },
    { [[re.find("hello", "'z'")]], "{}" },
    { [=[re.gsub("hello world", "[aeiou]", "<%0>")]=], '["h<e>ll<o> w<o>rld"]' },
    { [=[re.gsub("hello", "[aeiou]", string.upper)]=], '["hEllO"]' },
    { [=[re.gsub("hello", "[aeiou]", { e = "E" })]=], '["hEllo"]' },
  } },
  { "mistakes", {
    { [[select(2, pcall(re.compile, "'a' )"))]], [=[["pattern error near ')'"]]=] },
    { [[select(2, pcall(re.compile, "%foo"))]], [=[["name 'foo' undefined"]]=] },
    { [[select(2, pcall(re.compile, "'a' -> foo"))]], [=[["undefined name: foo"]]=] },
    { [[select(2, pcall(re.compile, "A <- 'a' A <- 'b'"))]],
      [=[["'A' already defined as a rule"]]=] },
    { [[(tostring(select(2, pcall(re.compile, "A <- B"))):gsub("^.-: ", ""))]],
      [=[["rule 'B' undefined in given grammar"]]=] },
  } },
}

describe("re", function()
  for _, group in ipairs(cases) do
    it("knows " .. group[1], function()
      for _, case in ipairs(group[2]) do
        equal(evaluate("local re, lpeg = require 're', require 'lpeg' return " .. case[1]), case[2])
      end
    end)
  end
end)
