//! What a match costs beside LPeg in C under Lua 5.1: CPU nanoseconds, best of 9 runs in turn.
//!
//! `cargo bench --bench lpeg`; without `lua5.1` and its `lpeg` only ours are shown.

#![allow(clippy::needless_raw_string_hashes, reason = "the cases look alike")]

use std::process::Command;
use std::time::Duration;

use heka::message::Batch;
use heka::sandbox::EntryTime;
use heka::sandbox::Role;
use heka::sandbox::Sandbox;
use heka::sandbox::Script;
use heka::sandbox::Spec;
use nix::time::ClockId;

const RUNS: usize = 9;
const MATCHES: u32 = 100_000;

const NGINX: &str = r#"
local l = require 'lpeg'
local line = '203.0.113.77 - frank [10/Oct/2025:13:55:36 +0000] "GET /apache_pb.gif?size=large HTTP/1.1" ' ..
  '200 2326 "http://www.example.com/start.html" "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101"'
local space, digit = l.P ' ', l.R '09'
local word, quoted = (1 - space) ^ 1, (1 - l.P '"') ^ 0
"#;

const CASES: &[(&str, &str)] = &[
    (
        "nginx, 9 named fields",
        r#"
local function field(patt, name) return l.Cg(l.C(patt), name) end
local patt = l.Ct(field(word, 'remote_addr') * ' - ' * field(word, 'remote_user') * ' [' *
  field((1 - l.P ']') ^ 1, 'time') * '] "' * field(l.R 'AZ' ^ 1, 'method') * ' ' * field(word, 'uri') *
  ' ' * (1 - l.P '"') ^ 1 * '" ' * field(digit ^ 1, 'status') * ' ' * field(digit ^ 1, 'bytes') * ' "' *
  field(quoted, 'referer') * '" "' * field(quoted, 'agent') * '"')"#,
    ),
    (
        "nginx, 9 captures",
        r#"
local patt = l.C(word) * ' - ' * l.C(word) * ' [' * l.C((1 - l.P ']') ^ 1) * '] "' *
  l.C(l.R 'AZ' ^ 1) * ' ' * l.C(word) * ' ' * (1 - l.P '"') ^ 1 * '" ' * l.C(digit ^ 1) * ' ' *
  l.C(digit ^ 1) * ' "' * l.C(quoted) * '" "' * l.C(quoted) * '"'"#,
    ),
    (
        "nginx, numbers by a function",
        r#"
local patt = l.Ct(l.Cg(word, 'remote_addr') * ' - ' * l.Cg(word, 'remote_user') * ' [' *
  l.Cg((1 - l.P ']') ^ 1, 'time') * '] "' * l.Cg(l.R 'AZ' ^ 1, 'method') * ' ' * l.Cg(word, 'uri') *
  ' ' * (1 - l.P '"') ^ 1 * '" ' * l.Cg(digit ^ 1 / tonumber, 'status') * ' ' *
  l.Cg(digit ^ 1 / tonumber, 'bytes') * ' "' * l.Cg(quoted, 'referer') * '" "' * l.Cg(quoted, 'agent') * '"')"#,
    ),
    (
        "months, a choice of 12",
        r#"
line = 'Dec Oct Jan Feb Mar Nov Aug Jul Jun May Apr Sep Dec'
local month = l.P(false)
for name in ('Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'):gmatch('%a+') do month = month + name end
local patt = (month * l.P ' ' ^ -1) ^ 1"#,
    ),
    (
        "grammar of nested lists",
        r#"
line = '(a (b c (d e) f) (g (h (i (j)))) k (l m) n)'
local patt = l.P { '(' * l.V 'item' * (space * l.V 'item') ^ 0 * ')',
  item = l.V(1) + l.R 'az' ^ 1 }"#,
    ),
    ("search for a word", "local patt = l.P { 'Gecko' + 1 * l.V(1) }"),
];

fn cpu() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("every thread has such a clock").into()
}

/// Makes a sandbox whose call matches so many times.
fn ours(body: &str) -> Sandbox {
    let text = format!(
        "{NGINX}{body}\nassert(patt:match(line))
         function process_message()
           for _ = 1, {MATCHES} do patt:match(line) end
           return 0
         end"
    );
    let mut spec = Spec::new("lpeg", Role::Filter, Script { path: "lpeg.lua".into(), text });
    spec.limits.cpu = Duration::ZERO;
    Sandbox::load(&spec).expect("the script is sound")
}

fn measured(sandbox: &mut Sandbox) -> f64 {
    let mut batch = Batch::new();
    let mut builder = batch.begin();
    builder.uuid(&[7; 16]);
    builder.finish().expect("a small message fits");
    let began = cpu();
    let mut out = Batch::new();
    let now = EntryTime::default();
    let done = sandbox.process(&batch, &[0], now, &mut out, &mut |failure| panic!("{failure:?}"));
    assert!(done.stop.is_none(), "{:?}", done.stop);
    cpu().saturating_sub(began).as_nanos() as f64 / f64::from(MATCHES)
}

/// Nanoseconds a match under Lua 5.1; `None` where that is not installed.
fn theirs(body: &str) -> Option<f64> {
    let text = format!(
        "{NGINX}{body}\nassert(patt:match(line)) local began = os.clock()
         for _ = 1, {MATCHES} do patt:match(line) end
         io.write((os.clock() - began) / {MATCHES} * 1e9)"
    );
    let done = Command::new("lua5.1").args(["-e", &text]).output().ok()?;
    String::from_utf8_lossy(&done.stdout).parse().ok()
}

fn main() {
    println!("{:32} {:>8} {:>8} {:>6}", "ns a match", "ours", "in C", "ratio");
    for (name, body) in CASES {
        let mut sandbox = ours(body);
        let (mut here, mut there) = (f64::MAX, f64::MAX);
        for _ in 0..RUNS {
            here = here.min(measured(&mut sandbox));
            there = there.min(theirs(body).unwrap_or(f64::MAX));
        }
        if there == f64::MAX {
            println!("{name:32} {here:>8.0} {:>8}", "none");
        } else {
            println!("{name:32} {here:>8.0} {there:>8.0} {:>6.2}", here / there);
        }
    }
}
