//! LPeg against a plain reading of parsing expressions: the same texts match, as far and no further.

#![no_main]

use std::fmt::Write;

use libfuzzer_sys::arbitrary;
use libfuzzer_sys::arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Peg {
    Any,
    Nothing,
    Never,
    Text([u8; 2], bool),
    Set(u8, u8),
    Then(Box<Peg>, Box<Peg>),
    Or(Box<Peg>, Box<Peg>),
    Without(Box<Peg>, Box<Peg>),
    Not(Box<Peg>),
    Ahead(Box<Peg>),
    Many(Box<Peg>),
    Once(Box<Peg>),
    Maybe(Box<Peg>),
    Capture(Box<Peg>),
    Group(Box<Peg>),
    Table(Box<Peg>),
    Substitute(Box<Peg>),
}

/// What an evaluation may take.
const MOST_STEPS: usize = 20_000;

fuzz_target!(|input: (Peg, Vec<u8>)| {
    let (peg, subject) = input;
    let mut pattern = String::new();
    if put(&peg, &mut pattern, 0).is_none() {
        return;
    }
    let subject: Vec<u8> = subject.iter().take(40).map(letter).collect();
    let script = format!(
        "local l = require 'lpeg'\nlocal ok, patt = pcall(function() return {pattern} end)\n\
         function process_message()\n\
           if not ok then inject_payload('txt', 'x', 'none') return 0 end\n\
           local function tell(done, ...)\n\
             local last = select(select('#', ...), ...)\n\
             inject_payload('txt', 'x', tostring(done), ' ', tostring(last))\n\
           end\n\
           tell(pcall(l.match, patt * l.Cp(), read_message('Payload') or ''))\n\
           return 0\nend"
    );
    let mut sandbox = heka_fuzz::filter(&script);
    let Ok(Some(told)) = heka_fuzz::run(&mut sandbox, &subject) else { return };
    let told = String::from_utf8(told).expect("it is text");
    if told == "none" || told.contains("invalid replacement value") {
        // A loop over what may be empty, or a table put into a text.
        return;
    }
    let mut steps = MOST_STEPS;
    let Some(end) = eval(&peg, &subject, 0, &mut steps) else { return };
    let expected = match end {
        Some(end) => format!("true {}", end + 1),
        None => "true nil".to_owned(),
    };
    assert_eq!(told, expected, "{pattern} on {:?}", String::from_utf8_lossy(&subject));
});

/// One of few, so that they meet.
fn letter(byte: &u8) -> u8 {
    b'a' + byte % 4
}

fn put(peg: &Peg, out: &mut String, depth: usize) -> Option<()> {
    if depth > 12 || out.len() > 4000 {
        return None;
    }
    let mut around = |before: &str, one: &Peg, between: &str, two: Option<&Peg>, behind: &str| {
        out.push_str(before);
        put(one, out, depth + 1)?;
        out.push_str(between);
        if let Some(two) = two {
            put(two, out, depth + 1)?;
        }
        out.push_str(behind);
        Some(())
    };
    match peg {
        Peg::Any => out.push_str("l.P(1)"),
        Peg::Nothing => out.push_str("l.P(true)"),
        Peg::Never => out.push_str("l.P(false)"),
        Peg::Text(text, is_long) => {
            let text: Vec<u8> = text.iter().take(1 + usize::from(*is_long)).map(letter).collect();
            let _ = write!(out, "l.P'{}'", String::from_utf8_lossy(&text));
        }
        Peg::Set(low, high) => {
            let _ = write!(out, "l.R'{}{}'", char::from(letter(low)), char::from(letter(high)));
        }
        Peg::Then(one, two) => around("(", one, "*", Some(two), ")")?,
        Peg::Or(one, two) => around("(", one, "+", Some(two), ")")?,
        Peg::Without(one, two) => around("(", one, "-", Some(two), ")")?,
        Peg::Not(one) => around("(-", one, "", None, ")")?,
        // What `#` gives alone is a number to Lua, to be made a pattern by the next operator.
        Peg::Ahead(one) => around("(l.P(true)*#", one, "", None, ")")?,
        Peg::Many(one) => around("(", one, "^0", None, ")")?,
        Peg::Once(one) => around("(", one, "^1", None, ")")?,
        Peg::Maybe(one) => around("(", one, "^-1", None, ")")?,
        Peg::Capture(one) => around("l.C(", one, "", None, ")")?,
        Peg::Group(one) => around("l.Cg(", one, "", None, ")")?,
        Peg::Table(one) => around("l.Ct(", one, "", None, ")")?,
        Peg::Substitute(one) => around("l.Cs(", one, "", None, ")")?,
    }
    Some(())
}

/// Where a match of `peg` ends that begins at `at`; the outer nothing is that it takes too long.
fn eval(peg: &Peg, text: &[u8], at: usize, steps: &mut usize) -> Option<Option<usize>> {
    *steps = steps.checked_sub(1)?;
    let many = |one: &Peg, mut end: usize, steps: &mut usize| {
        while let Some(next) = eval(one, text, end, steps)? {
            if next == end {
                return None;
            }
            end = next;
        }
        Some(Some(end))
    };
    Some(match peg {
        Peg::Any => (at < text.len()).then_some(at + 1),
        Peg::Nothing => Some(at),
        Peg::Never => None,
        Peg::Text(wanted, is_long) => {
            let wanted: Vec<u8> =
                wanted.iter().take(1 + usize::from(*is_long)).map(letter).collect();
            text[at..].starts_with(&wanted).then_some(at + wanted.len())
        }
        Peg::Set(low, high) => {
            let range = letter(low)..=letter(high);
            text.get(at).is_some_and(|byte| range.contains(byte)).then_some(at + 1)
        }
        Peg::Then(one, two) => match eval(one, text, at, steps)? {
            Some(end) => eval(two, text, end, steps)?,
            None => None,
        },
        Peg::Or(one, two) => match eval(one, text, at, steps)? {
            Some(end) => Some(end),
            None => eval(two, text, at, steps)?,
        },
        Peg::Without(one, two) => match eval(two, text, at, steps)? {
            Some(_) => None,
            None => eval(one, text, at, steps)?,
        },
        Peg::Not(one) => eval(one, text, at, steps)?.is_none().then_some(at),
        Peg::Ahead(one) => eval(one, text, at, steps)?.map(|_| at),
        Peg::Many(one) => many(one, at, steps)?,
        Peg::Once(one) => match eval(one, text, at, steps)? {
            Some(end) => many(one, end, steps)?,
            None => None,
        },
        Peg::Maybe(one) => Some(eval(one, text, at, steps)?.unwrap_or(at)),
        Peg::Capture(one) | Peg::Group(one) | Peg::Table(one) | Peg::Substitute(one) => {
            eval(one, text, at, steps)?
        }
    })
}
