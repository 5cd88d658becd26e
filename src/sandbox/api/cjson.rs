//! `cjson`: JSON to Lua values and back.
//!
//! What is decoded may take half of the script's memory, what is encoded the output limit. The
//! members of an object are written in the order of their names, so that the same table always
//! makes the same text. A null is dropped unless `decode_null(true)` asks for `cjson.null`.

use smallvec::SmallVec;

use crate::formats::json_text;
use crate::sandbox::context::Context;
use crate::sandbox::json;
use crate::sandbox::json::Reading;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Kind;
use crate::sandbox::raw::Named;
use crate::sandbox::raw::Place;
use crate::sandbox::raw::Table;
use crate::sandbox::raw::Value;
use crate::stdx::decimal;

/// The library, besides `encode`, which walks deep tables.
pub(super) const FUNCTIONS: &[Named] = &[
    (c"decode", decode),
    (c"decode_null", decode_null),
    (c"decode_max_depth", decode_max_depth),
    (c"decode_invalid_numbers", decode_invalid_numbers),
    (c"encode_invalid_numbers", encode_invalid_numbers),
    (c"encode_max_depth", encode_max_depth),
    (c"encode_number_precision", encode_number_precision),
    (c"encode_sparse_array", encode_sparse_array),
];

/// No text is decoded deeper than this.
const DEEPEST_TEXT: usize = 1000;

/// No table is encoded deeper than this: each one takes some of the thread's stack.
const DEEPEST_TABLE: usize = 120;

/// How a script wants its JSON.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Style {
    keeps_null: bool,
    /// Whether numbers that JSON does not have are read.
    reads_invalid: bool,
    writes_invalid: Invalid,
    decode_depth: usize,
    encode_depth: usize,
    digits: usize,
    /// Arrays with more holes than values become objects rather than errors.
    converts_sparse: bool,
    sparse_ratio: usize,
    sparse_safe: usize,
}

/// What becomes of NaN and infinity when they are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Invalid {
    Refused,
    Null,
    /// As JavaScript has them.
    Written,
}

impl Default for Style {
    fn default() -> Style {
        Style {
            keeps_null: false,
            reads_invalid: true,
            writes_invalid: Invalid::Refused,
            decode_depth: DEEPEST_TEXT,
            encode_depth: DEEPEST_TABLE,
            digits: 14,
            converts_sparse: false,
            sparse_ratio: 2,
            sparse_safe: 10,
        }
    }
}

/// `cjson.decode(text)` → value.
fn decode<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let text = args.text(1).ok_or("bad argument #1 to 'decode' (string expected)")?;
    let memory = cx.setting.limits.memory;
    let reading = Reading {
        keeps_null: cx.json.keeps_null,
        takes_invalid: cx.json.reads_invalid,
        depth: cx.json.decode_depth,
        limit: if memory == 0 { usize::MAX } else { memory / 2 },
    };
    json::decode(text, reading, &mut cx.tape, &|| args.go_on().is_ok())?;
    Ok(Answer::Tape(1))
}

/// `cjson.encode(value)` → text.
pub(super) fn encode<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    if args.len() == 0 {
        return Err("bad argument #1 to 'encode' (expected 1 argument)".into());
    }
    let Context { scratch, json, setting, .. } = cx;
    scratch.clear();
    let mut encoder = Encoder { out: scratch, style: *json, limit: setting.limits.output };
    encoder.value(args.value(1), 0)?;
    Ok(Answer::Text(scratch))
}

struct Encoder<'o> {
    out: &'o mut Vec<u8>,
    style: Style,
    limit: usize,
}

impl Encoder<'_> {
    fn value(&mut self, value: Value<'_>, depth: usize) -> Result<(), Complaint> {
        match value {
            // A light userdata, which scripts know as `cjson.null`.
            Value::Nil | Value::Other(Kind::Other) => self.out.extend_from_slice(b"null"),
            Value::Bool(truth) => {
                self.out.extend_from_slice(if truth { b"true" } else { b"false" });
            }
            Value::Integer(integer) => json_text::put_integer(self.out, integer),
            Value::Number(number) => self.number(number)?,
            Value::Text(text) => put_string(self.out, text),
            Value::Table(table) => self.table(table, depth + 1)?,
            other => {
                let kind = other.kind().name();
                return Err(format!("Cannot serialise {kind}: type not supported").into());
            }
        }
        if self.out.len() > self.limit {
            return Err("output_limit exceeded".into());
        }
        Ok(())
    }

    fn number(&mut self, number: f64) -> Result<(), Complaint> {
        if !number.is_finite() {
            let text: &[u8] = match self.style.writes_invalid {
                Invalid::Refused => {
                    return Err("Cannot serialise number: must not be NaN or Inf".into());
                }
                Invalid::Null => b"null",
                Invalid::Written if number.is_nan() => b"NaN",
                Invalid::Written if number > 0.0 => b"Infinity",
                Invalid::Written => b"-Infinity",
            };
            self.out.extend_from_slice(text);
            return Ok(());
        }
        decimal::write_general(self.out, number, self.style.digits);
        Ok(())
    }

    fn table(&mut self, table: Table<'_>, depth: usize) -> Result<(), Complaint> {
        if depth > self.style.encode_depth || !table.has_room() {
            return Err(too_deep(depth));
        }
        match self.array_length(table)? {
            Some(length) => self.array(table, length, depth),
            None => self.object(table, depth),
        }
    }

    /// The length of a table that is an array; `None` for any other.
    fn array_length(&self, table: Table<'_>) -> Result<Option<usize>, Complaint> {
        let (mut count, mut largest) = (0_usize, 0_usize);
        let is_array = table.each(|key, _| match key {
            Value::Number(number) if number >= 1.0 && number.fract() == 0.0 && number < 2e9 => {
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the number was found to fit"
                )]
                let index = number as usize;
                largest = largest.max(index);
                count += 1;
                Ok(())
            }
            _ => Err(()),
        });
        if is_array.is_err() || count == 0 {
            return Ok(None);
        }
        let Style { sparse_ratio, sparse_safe, .. } = self.style;
        if sparse_ratio > 0 && largest > count.saturating_mul(sparse_ratio) && largest > sparse_safe
        {
            if self.style.converts_sparse {
                return Ok(None);
            }
            return Err("Cannot serialise table: excessively sparse array".into());
        }
        Ok(Some(largest))
    }

    fn array(&mut self, table: Table<'_>, length: usize, depth: usize) -> Result<(), Complaint> {
        self.out.push(b'[');
        for index in 1..=length {
            if index > 1 {
                self.out.push(b',');
            }
            table
                .item(index, |value| self.value(value, depth))
                .unwrap_or_else(|| Err(too_deep(depth)))?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, table: Table<'_>, depth: usize) -> Result<(), Complaint> {
        let mut members: SmallVec<[(SmallVec<[u8; 24]>, Place); 16]> = SmallVec::new();
        let mut place = Place::START;
        while let Some((key, next)) = table.visit(place, |key, _| key) {
            let mut name = SmallVec::new();
            match key {
                Value::Text(text) => name.extend_from_slice(text),
                Value::Number(number) => {
                    let mut text = Vec::new();
                    decimal::write_general(&mut text, number, self.style.digits);
                    name.extend_from_slice(&text);
                }
                other => {
                    let kind = other.kind().name();
                    let why = "table key must be a number or string";
                    return Err(format!("Cannot serialise {kind}: {why}").into());
                }
            }
            members.push((name, place));
            place = next;
        }
        members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        self.out.push(b'{');
        for (index, (name, place)) in members.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            put_string(self.out, name);
            self.out.push(b':');
            table.visit(*place, |_, value| self.value(value, depth)).map_or(Ok(()), |(r, _)| r)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

fn too_deep(depth: usize) -> Complaint {
    format!("Cannot serialise, excessive nesting ({depth})").into()
}

/// Appends a string as lua-cjson does: slashes and the byte 127 are escaped, and bytes that are no UTF-8
/// stay as they are.
fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    let is_plain = |byte: u8| byte >= b' ' && !matches!(byte, b'"' | b'\\' | b'/' | 127);
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(plain) = rest.iter().position(|byte| !is_plain(*byte)) {
        let (done, special) = rest.split_at(plain);
        out.extend_from_slice(done);
        match special[0] {
            byte @ (b'"' | b'\\' | b'/') => out.extend_from_slice(&[b'\\', byte]),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &special[1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// `cjson.decode_null(true or false)`: whether a null becomes `cjson.null` or is dropped.
fn decode_null<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    cx.json.keeps_null = args.truth(1);
    Ok(Answer::Nothing)
}

/// `cjson.decode_invalid_numbers([true or false])` → whether NaN, infinity and hexadecimal are read.
fn decode_invalid_numbers<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    if !args.is_absent(1) {
        cx.json.reads_invalid = args.truth(1);
    }
    Ok(Answer::Bool(cx.json.reads_invalid))
}

/// `cjson.encode_invalid_numbers([true, false or "null"])` → what becomes of NaN and infinity: they are
/// written as JavaScript has them, refused, or written as null.
fn encode_invalid_numbers<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let invalid = &mut cx.json.writes_invalid;
    match args.value(1) {
        Value::Nil => {}
        Value::Bool(true) => *invalid = Invalid::Written,
        Value::Bool(false) => *invalid = Invalid::Refused,
        Value::Text(b"null") => *invalid = Invalid::Null,
        _ => return Err("bad argument #1 (true, false or \"null\" expected)".into()),
    }
    Ok(match invalid {
        Invalid::Refused => Answer::Bool(false),
        Invalid::Written => Answer::Bool(true),
        Invalid::Null => Answer::Text(b"null"),
    })
}

/// `cjson.decode_max_depth([depth])` → depth.
fn decode_max_depth<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let depth = &mut cx.json.decode_depth;
    *depth = setting(&args, 1, *depth)?.clamp(1, DEEPEST_TEXT);
    Ok(Answer::Number(*depth as f64))
}

/// `cjson.encode_max_depth([depth])` → depth.
fn encode_max_depth<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let depth = &mut cx.json.encode_depth;
    *depth = setting(&args, 1, *depth)?.clamp(1, DEEPEST_TABLE);
    Ok(Answer::Number(*depth as f64))
}

/// `cjson.encode_number_precision([digits])` → digits.
fn encode_number_precision<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let digits = &mut cx.json.digits;
    *digits = setting(&args, 1, *digits)?.clamp(1, 17);
    Ok(Answer::Number(*digits as f64))
}

/// `cjson.encode_sparse_array([convert[, ratio[, safe]]])` → convert, ratio, safe.
fn encode_sparse_array<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let Context { json, tape, .. } = cx;
    if !args.is_absent(1) {
        json.converts_sparse = args.truth(1);
    }
    json.sparse_ratio = setting(&args, 2, json.sparse_ratio)?;
    json.sparse_safe = setting(&args, 3, json.sparse_safe)?;
    tape.clear();
    tape.bool(json.converts_sparse);
    tape.number(json.sparse_ratio as f64);
    tape.number(json.sparse_safe as f64);
    Ok(Answer::Tape(3))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is checked, and such casts saturate"
)]
fn setting(args: &Args<'_>, index: usize, now: usize) -> Result<usize, Complaint> {
    if args.is_absent(index) {
        return Ok(now);
    }
    match args.number(index) {
        Some(number) if number >= 0.0 => Ok(number as usize),
        _ => Err(format!("bad argument #{index} (a whole number expected)").into()),
    }
}
