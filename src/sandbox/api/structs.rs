//! `struct`: numbers and texts as bytes, by a format.

use crate::analysis::packing::Format;
use crate::analysis::packing::Item;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;
use crate::sandbox::raw::Value;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"struct",
    functions: &[(c"pack", pack), (c"unpack", unpack), (c"size", size)],
    parts: &[],
    kinds: &[],
};

/// The most values of one call.
const MAX_VALUES: usize = 4096;

/// The longest format, in bytes.
const MAX_FORMAT: usize = 16 * 1024;

fn format<'a>(call: &Call<'a>) -> Result<Format<'a>, Complaint> {
    let text = call.text(1)?;
    if text.len() > MAX_FORMAT {
        return Err(call.refused(1, "format", "too long"));
    }
    Ok(Format::new(text))
}

fn next(call: &Call<'_>, format: &mut Format<'_>) -> Result<Option<Item>, Complaint> {
    format.next_item().map_err(|error| call.refused(1, "format", error))
}

/// `struct.pack(format, ...)` → the values as bytes.
fn pack<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("pack", args);
    let mut format = format(&call)?;
    let out = &mut cx.scratch;
    out.clear();
    let mut number = 1;
    while let Some(item) = next(&call, &mut format)? {
        let gap = format.gap(item, out.len());
        let text = match item {
            Item::Text(_) | Item::Terminated => call.text(number + 1)?.len(),
            _ => 0,
        };
        let more = gap + text.max(item.width().unwrap_or(0)) + 1;
        if !args.admit(out.len() + more) {
            return Err("not enough memory".into());
        }
        out.resize(out.len() + gap, 0);
        if item == Item::Padding {
            out.push(0);
            continue;
        }
        number += 1;
        match item {
            Item::Integer { width, .. } => {
                format.put_integer(out, width, integer(&call, number)?);
            }
            Item::Float | Item::Double => {
                format.put_float(out, item, call.number(number)?);
            }
            Item::Terminated => {
                out.extend_from_slice(call.text(number)?);
                out.push(0);
            }
            Item::Text(width) => {
                let text = call.text(number)?;
                let Some(part) = text.get(..if width == 0 { text.len() } else { width }) else {
                    return Err(call.refused(number, "value", "string is too short"));
                };
                out.extend_from_slice(part);
            }
            Item::Padding => {}
        }
    }
    Ok(Answer::Text(&cx.scratch))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "such a cast saturates")]
fn integer(call: &Call<'_>, number: usize) -> Result<i64, Complaint> {
    if let Value::Integer(integer) = call.value(number) {
        return Ok(integer);
    }
    let value = call.number(number)?;
    Ok(if value > i64::MAX as f64 { (value as u64).cast_signed() } else { value as i64 })
}

/// `struct.unpack(format, text[, start])` → the values, and where the next would begin.
fn unpack<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("unpack", args);
    let mut format = format(&call)?;
    let text = call.text(2)?;
    let start = call.optional_whole(3, "start", 1..=i64::from(u32::MAX), 1)?;
    let mut at = usize::try_from(start).unwrap_or(1) - 1;
    let tape = &mut cx.tape;
    tape.clear();
    let mut count = 0;
    let mut last = None;
    while let Some(item) = next(&call, &mut format)? {
        at += format.gap(item, at);
        let width = match item {
            // As many bytes as the number read before says, which is no value then.
            Item::Text(0) => {
                let length = last.take().ok_or_else(|| {
                    call.refused(1, "format", "c0 expected behind a number that is its length")
                })?;
                tape.drop_last();
                count -= 1;
                length
            }
            Item::Terminated => {
                let rest = text.get(at..).unwrap_or_default();
                let end = memchr::memchr(0, rest);
                end.ok_or_else(|| call.refused(2, "text", "no zero byte ends the string"))?
            }
            item => item.width().unwrap_or(0),
        };
        let end = at.checked_add(width);
        let bytes = end.and_then(|end| text.get(at..end));
        let bytes = bytes.ok_or_else(|| call.refused(2, "text", "too short"))?;
        at += width + usize::from(item == Item::Terminated);
        if item == Item::Padding {
            continue;
        }
        count += 1;
        if count > MAX_VALUES || !args.admit(tape.footprint() + width) {
            return Err("too many values for one call".into());
        }
        last = None;
        match item {
            Item::Terminated | Item::Text(_) => tape.text(bytes),
            _ => {
                let value = format.number(item, bytes);
                tape.number(value);
                last = length_of(value);
            }
        }
    }
    tape.number((at + 1) as f64);
    Ok(Answer::Tape(count + 1))
}

/// What a number says as a length.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number was found to fit"
)]
fn length_of(value: f64) -> Option<usize> {
    (value >= 0.0 && value <= f64::from(u32::MAX) && value.fract() == 0.0).then_some(value as usize)
}

/// `struct.size(format)` → how many bytes it stands for.
fn size<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("size", args);
    let mut format = format(&call)?;
    let mut size = 0_usize;
    while let Some(item) = next(&call, &mut format)? {
        let width = item
            .width()
            .ok_or_else(|| call.refused(1, "format", "s and c0 have no size of their own"))?;
        size = size.saturating_add(format.gap(item, size)).saturating_add(width);
    }
    Ok(Answer::Number(size as f64))
}
