//! `lpeg` as scripts see it, by the LPeg manual.

mod cases;

use super::*;

/// What shows values in the cases: run before each of them, here and by the LPeg in C.
const SHOW: &str = "
local lpeg = require 'lpeg'
local P, S, R, V, B = lpeg.P, lpeg.S, lpeg.R, lpeg.V, lpeg.B
local C, Cc, Cg, Cb, Cf = lpeg.C, lpeg.Cc, lpeg.Cg, lpeg.Cb, lpeg.Cf
local Cs, Ct, Cmt, Carg, Cp = lpeg.Cs, lpeg.Ct, lpeg.Cmt, lpeg.Carg, lpeg.Cp
local match = lpeg.match
local function show(value)
  local kind = type(value)
  if kind == 'table' then
    local out, names = {}, {}
    for index = 1, #value do out[index] = show(value[index]) end
    for name in pairs(value) do
      if type(name) ~= 'number' or name < 1 or name > #value then names[#names + 1] = name end
    end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    for _, name in ipairs(names) do
      out[#out + 1] = tostring(name) .. '=' .. show(value[name])
    end
    return '{' .. table.concat(out, ' ') .. '}'
  elseif kind == 'string' or kind == 'number' or kind == 'boolean' or kind == 'nil' then
    return tostring(value)
  end
  return kind
end
local function run(case)
  local function all(...)
    local out = {}
    for index = 1, select('#', ...) do out[index] = show((select(index, ...))) end
    return table.concat(out, ' ')
  end
  local function told(ok, ...)
    if ok then return all(...) end
    return 'error: ' .. tostring((...)):gsub('^[^:]*:%d+: ', ''):gsub('^[^:]*:%d+: ', '')
  end
  return told(pcall(case))
end
";

/// Runs the body of a function; what it returns, as text.
fn evaluate(body: &str) -> String {
    let script = format!(
        "{SHOW}\nlocal text = run(function()\n{body}\nend)
         function process_message() inject_payload('txt', '', text) return 0 end"
    );
    let (injected, failures) = run(&script);
    assert_eq!(failures, Vec::<String>::new(), "{body}");
    injected[0].trim_start_matches("heka.sandbox-output: ").to_owned()
}

#[test]
fn patterns_do_as_the_manual_says() {
    for (body, expected) in cases::CASES {
        assert_eq!(evaluate(body), *expected, "{body}");
    }
}
