//! Everything that is built into a sandbox, called with anything: no call harms the host, outlives
//! the limits of memory and time, or leaves a state that cannot be kept.

#![no_main]

use std::fmt::Write;

use libfuzzer_sys::arbitrary;
use libfuzzer_sys::arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

/// What finds all functions, and calls them; `kept` outlives the calls.
const SCRIPT: &str = r#"
local functions, names = {}, {}
local function gather(prefix, all, depth)
  for name, value in pairs(all) do
    if type(value) == "function" and name ~= "print" then
      names[#names + 1] = prefix .. tostring(name)
      functions[prefix .. tostring(name)] = value
    elseif type(value) == "table" and depth > 0 and value ~= _G then
      gather(prefix .. tostring(name) .. ".", value, depth - 1)
    end
  end
end
gather("", _G, 1)
for _, name in ipairs{"string", "table", "math", "os", "coroutine", "bit32", "utf8", "buffer", "cjson",
    "circular_buffer", "lpeg", "sax", "bloom_filter", "cuckoo_filter", "cuckoo_filter_expire",
    "hyperloglog", "ddsketch", "struct", "xxhash", "ip", "sha", "hmac", "regex", "integer", "re",
    "vector"} do
  local ok, module = pcall(require, name)
  if ok and type(module) == "table" then gather(name .. ":", module, 1) end
end
table.sort(names)
kept = {}
local function keep(ok, ...)
  if not ok then return end
  for place = 1, math.min(select('#', ...), 3) do
    local value = select(place, ...)
    if value ~= nil and #kept < 40 then kept[#kept + 1] = value end
  end
end
local function k(place) return kept[place % math.max(#kept, 1) + 1] end
local function call(which, ...) keep(pcall(functions[names[which % #names + 1]], ...)) end
local function named(name, ...) keep(pcall(functions[name], ...)) end
local function method(place, name, ...)
  local value = k(place)
  keep(pcall(function(...) return value[name](value, ...) end, ...))
end
"#;

/// What makes objects, and what is called with whole texts.
const MAKERS: &[&str] = &[
    "bloom_filter:new",
    "circular_buffer:new",
    "cuckoo_filter:new",
    "cuckoo_filter_expire:new",
    "ddsketch:new",
    "hyperloglog:new",
    "ip:set",
    "regex:new",
    "sax:window.new",
    "sax:word.new",
    "sax:mindist",
    "struct:pack",
    "struct:unpack",
    "struct:size",
    "string:format",
    "string:gsub",
    "string:find",
    "string:rep",
    "string:pack",
    "string:unpack",
    "table:concat",
    "table:move",
    "lpeg:match",
    "lpeg:P",
    "cjson:decode",
    "create_message_matcher",
    "create_stream_reader",
    "decode_message",
    "inject_message",
    "write_message",
    "buffer:create",
];

const METHODS: &[&str] = &[
    "add",
    "all",
    "annotate",
    "avg",
    "captures",
    "clear",
    "compute",
    "count",
    "current_interval",
    "current_time",
    "decode_message",
    "delete",
    "eval",
    "find",
    "find_message",
    "format",
    "fromstring",
    "get",
    "get_configuration",
    "get_delta",
    "get_header",
    "get_range",
    "get_range_delta",
    "get_word",
    "gsub",
    "has",
    "mannwhitneyu",
    "match",
    "max",
    "merge",
    "min",
    "quantile",
    "query",
    "read_message",
    "remove",
    "reset_delta",
    "set",
    "set_header",
    "state",
    "sum",
    "test",
];

const WORDS: &[&str] = &[
    "sum",
    "min",
    "max",
    "none",
    "avg",
    "sd",
    "variance",
    "cbuf",
    "cbufd",
    "info",
    "alert",
    "a*",
    "(.-)%1",
    "%f[a]",
    "%b()",
    "(a+)+$",
    "<i4>I8",
    "!8 d f s",
    "c0",
    "i3 I16",
    "%5.3q",
    "%99d",
    "%s",
    "10.0.0.0/8",
    "::/0",
    "Payload",
    "Fields[a]",
    "Type == 'x'",
    "{\"a\":[1]}",
    "",
    "\\0",
    "*t",
    "utf-8",
];

#[derive(Arbitrary, Debug)]
enum Call<'a> {
    Any(u16, Vec<Argument<'a>>),
    Make(u8, Vec<Argument<'a>>),
    Method(u8, u8, Vec<Argument<'a>>),
    /// As a method, again and again.
    Often(u8, u8, u8, Vec<Argument<'a>>),
}

#[derive(Arbitrary, Debug)]
enum Argument<'a> {
    Nil,
    Is(bool),
    Small(u8),
    Whole(i64),
    Number(f64),
    Word(u8),
    Text(&'a [u8]),
    Long(u8, u8),
    Kept(u8),
    List(Vec<i16>),
    Named(u8, i16),
    Function,
}

fuzz_target!(|calls: Vec<Call<'_>>| {
    let mut script = SCRIPT.to_owned();
    script.push_str("function process_message()\n");
    for call in calls.iter().take(24) {
        put(&mut script, call);
    }
    script.push_str("  return 0\nend\n");
    let mut sandbox = heka_fuzz::filter(&script);
    let is_well = heka_fuzz::run(&mut sandbox, b"payload").is_ok();
    let Ok(state) = sandbox.snapshot() else { return };
    let mut other = heka_fuzz::filter(&script);
    let restored = other.restore(&state);
    // A snapshot may take more memory than is left beside what it is of.
    assert!(restored.is_ok() || !is_well || state.len() > 1 << 20, "{restored:?}");
});

fn put(script: &mut String, call: &Call<'_>) {
    let arguments = match call {
        Call::Any(which, arguments) => {
            let _ = write!(script, "  call({which}");
            arguments
        }
        Call::Make(which, arguments) => {
            let _ = write!(script, "  named('{}'", MAKERS[usize::from(*which) % MAKERS.len()]);
            arguments
        }
        Call::Method(place, which, arguments) => {
            let name = METHODS[usize::from(*which) % METHODS.len()];
            let _ = write!(script, "  method({place}, '{name}'");
            arguments
        }
        Call::Often(place, which, times, arguments) => {
            let name = METHODS[usize::from(*which) % METHODS.len()];
            let _ = write!(script, "  for i = 1, {times} do method({place}, '{name}', i");
            arguments
        }
    };
    for argument in arguments.iter().take(6) {
        script.push_str(", ");
        put_argument(script, argument);
    }
    script.push_str(if matches!(call, Call::Often(..)) { ") end\n" } else { ")\n" });
}

fn put_argument(script: &mut String, argument: &Argument<'_>) {
    let _ = match argument {
        Argument::Nil => write!(script, "nil"),
        Argument::Is(is) => write!(script, "{is}"),
        Argument::Small(number) => write!(script, "{number}"),
        Argument::Whole(number) => write!(script, "{number}"),
        Argument::Number(number) if number.is_nan() => write!(script, "0/0"),
        Argument::Number(number) if number.is_infinite() => write!(script, "-math.huge"),
        Argument::Number(number) => write!(script, "{number:e}"),
        Argument::Word(which) => {
            put_text(script, WORDS[usize::from(*which) % WORDS.len()].as_bytes())
        }
        Argument::Text(text) => put_text(script, &text[..text.len().min(64)]),
        Argument::Long(letter, length) => {
            write!(script, "string.rep('\\{letter}', {})", u32::from(*length) * 4000)
        }
        Argument::Kept(place) => write!(script, "k({place})"),
        Argument::List(numbers) => write!(script, "{{{}}}", shown(numbers)),
        Argument::Named(which, number) => {
            let name = WORDS[usize::from(*which) % WORDS.len()].as_bytes();
            let _ = write!(script, "{{[");
            put_text(script, name).and_then(|()| write!(script, "] = {number}, k(1)}}"))
        }
        Argument::Function => write!(script, "function(...) keep(true, ...) return ... end"),
    };
}

fn shown(numbers: &[i16]) -> String {
    let numbers: Vec<String> = numbers.iter().take(20).map(ToString::to_string).collect();
    numbers.join(",")
}

fn put_text(script: &mut String, text: &[u8]) -> std::fmt::Result {
    script.push('"');
    for byte in text {
        write!(script, "\\{byte:03}")?;
    }
    script.push('"');
    Ok(())
}
