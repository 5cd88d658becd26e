//! `cjson`: JSON to Lua values and back.
//!
//! What is decoded may take half of the script's memory, what is encoded the output limit. A null is
//! dropped unless `decode_null(true)` asks for `cjson.null`.

use std::ops::RangeInclusive;

use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::json;
use crate::sandbox::json::Invalid;
use crate::sandbox::json::Reading;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Named;
use crate::sandbox::raw::Value;

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

/// `cjson.decode(text)` → value.
fn decode<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("decode", args);
    only(&call)?;
    let text = call.text(1)?;
    let reading = Reading {
        keeps_null: cx.json.keeps_null,
        takes_invalid: cx.json.reads_invalid,
        depth: cx.json.decode_depth,
        limit: half(cx.setting.limits.memory),
    };
    json::decode(text, reading, &mut cx.tape, &|| args.go_on().is_ok())?;
    Ok(Answer::Tape(1))
}

/// `cjson.encode(value)` → text.
pub(super) fn encode<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let value = only(&Call::function("encode", args))?;
    let Context { scratch, json, setting, .. } = cx;
    scratch.clear();
    let limit = setting.limits.output.min(half(setting.limits.memory));
    json::encode(value, *json, (scratch, limit), &|| args.go_on())?;
    Ok(Answer::Text(scratch))
}

/// The one argument there may be.
fn only<'a>(call: &Call<'a>) -> Result<Value<'a>, Complaint> {
    if call.len() == 1 { Ok(call.value(1)) } else { Err(call.complaint(1, "expected 1 argument")) }
}

/// What one call may take of the memory, in bytes.
fn half(memory: usize) -> usize {
    if memory == 0 { usize::MAX } else { memory / 2 }
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
    let call = Call::function("encode_invalid_numbers", args);
    let invalid = &mut cx.json.writes_invalid;
    match call.value(1) {
        Value::Nil => {}
        Value::Bool(true) => *invalid = Invalid::Written,
        Value::Bool(false) => *invalid = Invalid::Refused,
        _ => {
            *invalid = call.one_of((1, None), |word| match word {
                b"on" => Some(Invalid::Written),
                b"off" => Some(Invalid::Refused),
                b"null" => Some(Invalid::Null),
                _ => None,
            })?;
        }
    }
    Ok(match invalid {
        Invalid::Refused => Answer::Bool(false),
        Invalid::Written => Answer::Bool(true),
        Invalid::Null => Answer::Text(b"null"),
    })
}

/// `cjson.decode_max_depth([depth])` → depth; no text is read deeper than 1000.
fn decode_max_depth<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("decode_max_depth", args);
    let depth = &mut cx.json.decode_depth;
    *depth = setting(&call, 1, 1..=LARGEST, *depth)?.min(json::DEEPEST);
    Ok(Answer::Number(*depth as f64))
}

/// `cjson.encode_max_depth([depth])` → depth; no table is written deeper than 1000.
fn encode_max_depth<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("encode_max_depth", args);
    let depth = &mut cx.json.encode_depth;
    *depth = setting(&call, 1, 1..=LARGEST, *depth)?.min(json::DEEPEST);
    Ok(Answer::Number(*depth as f64))
}

/// `cjson.encode_number_precision([digits])` → digits.
fn encode_number_precision<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("encode_number_precision", args);
    let digits = &mut cx.json.digits;
    *digits = setting(&call, 1, 1..=17, *digits)?;
    Ok(Answer::Number(*digits as f64))
}

/// `cjson.encode_sparse_array([convert[, ratio[, safe]]])` → convert, ratio, safe.
fn encode_sparse_array<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("encode_sparse_array", args);
    let Context { json, tape, .. } = cx;
    if !call.is_absent(1) {
        json.converts_sparse = args.truth(1);
    }
    json.sparse_ratio = setting(&call, 2, 0..=LARGEST, json.sparse_ratio)?;
    json.sparse_safe = setting(&call, 3, 0..=LARGEST, json.sparse_safe)?;
    tape.clear();
    tape.bool(json.converts_sparse);
    tape.number(json.sparse_ratio as f64);
    tape.number(json.sparse_safe as f64);
    Ok(Answer::Tape(3))
}

const LARGEST: i64 = i32::MAX as i64;

#[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
fn setting(
    call: &Call<'_>,
    number: usize,
    range: RangeInclusive<i64>,
    now: usize,
) -> Result<usize, Complaint> {
    if call.is_absent(number) {
        return Ok(now);
    }
    let given = call.number(number)? as i64;
    if !range.contains(&given) {
        let (first, last) = (range.start(), range.end());
        let why = format!("expected integer between {first} and {last}");
        return Err(call.complaint(number, &why));
    }
    Ok(usize::try_from(given).unwrap_or(now))
}
