//! JSON as Lua values: reads a text onto a tape, within the memory and depth it may have.
//!
//! Numbers that JSON does not have (`NaN`, `Infinity`, `0x1f`) are looked for only where a text is not
//! read as it is: they become texts with a mark in front, and these numbers again.

use std::cell::Cell;
use std::fmt;

use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

use super::raw::Tape;

/// How a text is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Whether a null is a value.
    pub(super) keeps_null: bool,
    /// Whether numbers that JSON does not have are read.
    pub(super) takes_invalid: bool,
    /// How deep arrays and objects may stand in one another.
    pub(super) depth: usize,
    /// What the values may take, in bytes.
    pub(super) limit: usize,
}

/// What is asked now and then whether the call may go on.
struct Budget<'b> {
    steps: Cell<u32>,
    goes_on: &'b dyn Fn() -> bool,
}

impl Budget<'_> {
    fn step<E: serde::de::Error>(&self) -> Result<(), E> {
        let steps = self.steps.get().wrapping_add(1);
        self.steps.set(steps);
        if steps.is_multiple_of(STEPS) && !(self.goes_on)() {
            return Err(E::custom("cpu_limit exceeded"));
        }
        Ok(())
    }
}

/// After so many values the budget is asked.
const STEPS: u32 = 1024;

/// What stands before a number that JSON does not have. No sound text has it as it is.
const MARK: char = '\u{1}';

/// Reads `text` onto `tape`, as one value.
pub(super) fn decode(
    text: &[u8],
    reading: Reading,
    tape: &mut Tape,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), serde_json::Error> {
    let text = String::from_utf8_lossy(text);
    let budget = Budget { steps: Cell::new(0), goes_on };
    let result = parse(text.as_bytes(), reading, tape, (&budget, false));
    if let Err(error) = &result
        && reading.takes_invalid
        && error.is_syntax()
        && let Some(marked) = marked(&text, reading.limit, &budget)
    {
        return parse(marked.as_bytes(), reading, tape, (&budget, true));
    }
    result
}

fn parse(
    text: &[u8],
    reading: Reading,
    tape: &mut Tape,
    (budget, is_marked): (&Budget<'_>, bool),
) -> Result<(), serde_json::Error> {
    tape.clear();
    let mut json = serde_json::Deserializer::from_slice(text);
    Seed { tape, reading, depth: 0, budget, is_marked }.deserialize(&mut json)?;
    json.end()
}

/// The text with its invalid numbers marked; none where it has none, would be longer than `limit` or takes
/// too long.
fn marked(text: &str, limit: usize, budget: &Budget<'_>) -> Option<String> {
    let mut out = String::new();
    let mut has_any = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if out.len() > limit || budget.step::<serde_json::Error>().is_err() {
            return None;
        }
        let length = if first == '"' {
            quoted(rest)
        } else if first.is_ascii_alphanumeric() || matches!(first, '-' | '+') {
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
            rest.find(|letter| !is_part(letter)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, behind) = rest.split_at(length);
        let is_name = || behind.trim_start().starts_with(':');
        if first != '"' && invalid(word).is_some() && !is_name() {
            has_any = true;
            out.push_str("\"\\u0001");
            out.push_str(word);
            out.push('"');
        } else {
            out.push_str(word);
        }
        rest = behind;
    }
    has_any.then_some(out)
}

/// The length of the string in quotes at the start of `rest`.
fn quoted(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The number that a word stands for which is none of JSON's.
fn invalid(word: &str) -> Option<f64> {
    let (sign, bare) = match word.strip_prefix('-') {
        Some(bare) => (-1.0, bare),
        None => (1.0, word),
    };
    if bare.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    if bare.eq_ignore_ascii_case("infinity") || bare.eq_ignore_ascii_case("inf") {
        return Some(sign * f64::INFINITY);
    }
    let digits = bare.strip_prefix("0x").or_else(|| bare.strip_prefix("0X"))?;
    u64::from_str_radix(digits, 16).ok().map(|number| sign * number as f64)
}

struct Seed<'t> {
    tape: &'t mut Tape,
    budget: &'t Budget<'t>,
    reading: Reading,
    depth: usize,
    /// Whether texts with [`MARK`] in front stand for numbers.
    is_marked: bool,
}

impl Seed<'_> {
    fn inner(&mut self) -> Seed<'_> {
        Seed { tape: self.tape, depth: self.depth + 1, ..*self }
    }

    fn admit<E: serde::de::Error>(&self) -> Result<(), E> {
        self.budget.step()?;
        if self.tape.footprint() > self.reading.limit {
            return Err(E::custom("not enough memory"));
        }
        Ok(())
    }

    fn descend<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth >= self.reading.depth {
            return Err(E::custom("too many nested data structures"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        if self.reading.keeps_null {
            self.tape.null();
        } else {
            self.tape.nil();
        }
        Ok(())
    }

    fn visit_bool<E>(self, truth: bool) -> Result<(), E> {
        self.tape.bool(truth);
        Ok(())
    }

    fn visit_i64<E>(self, integer: i64) -> Result<(), E> {
        self.tape.number(integer as f64);
        Ok(())
    }

    fn visit_u64<E>(self, integer: u64) -> Result<(), E> {
        self.tape.number(integer as f64);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.tape.number(number);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.is_marked
            && let Some(number) = text.strip_prefix(MARK).and_then(invalid)
        {
            self.tape.number(number);
            return Ok(());
        }
        self.tape.text(text.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.descend()?;
        self.tape.table(items.size_hint().unwrap_or(0), 0);
        let mut index = 0;
        while items.next_element_seed(self.inner())?.is_some() {
            index += 1;
            self.tape.item(index);
            self.admit()?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.descend()?;
        self.tape.table(0, members.size_hint().unwrap_or(0));
        while let Some(()) = members.next_key_seed(self.inner())? {
            members.next_value_seed(self.inner())?;
            self.tape.pair();
            self.admit()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, takes_invalid: bool, is_read: bool) {
        let reading = Reading { keeps_null: true, takes_invalid, depth: 9, limit: 1 << 20 };
        let result = decode(text.as_bytes(), reading, &mut Tape::default(), &|| true);
        assert_eq!(result.is_ok(), is_read, "{text}: {result:?}");
    }

    #[test]
    fn invalid_numbers_are_read_where_they_may_be() {
        for text in ["NaN", "[-Infinity, 1]", r#"{"a\"NaN": 0x1F, "b": "inf"}"#, "[inf,nan]"] {
            check(text, true, true);
            check(text, false, false);
        }
        check("[1, true, null]", false, true);
        for text in ["[NaN", "nanny", "0xg", "[+1]", "{NaN: 1}", "\"NaN"] {
            check(text, true, false);
        }
    }
}
