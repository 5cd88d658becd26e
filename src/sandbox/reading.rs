//! What scripts read of their files: lines, numbers, so many bytes, or all.

use super::arguments::Call;
use super::context::Context;
use super::files::BUFFER;
use super::files::OpenFile;
use super::raw::Answer;
use super::raw::Args;
use super::raw::Complaint;
use super::raw::Value;

/// The longest number, blanks before it not counted, in bytes.
const MAX_NUMBER: usize = 200;

/// What one format has read.
enum Found {
    Nothing,
    Text(Vec<u8>),
    Number(f64),
}

/// Reads what the arguments of `read` ask for: `*l` a line, `*a` all, `*n` a number, or so many bytes.
/// What cannot be read is nil, and the last answer.
pub(super) fn read<'a>(
    cx: &'a mut Context,
    call: Call<'a>,
    file: &mut OpenFile,
) -> Result<Answer<'a>, Complaint> {
    file.file()?;
    let mut results = Vec::new();
    for number in 1..=call.len().max(1) {
        let result = one(cx, &call, number, file)?;
        let is_end = matches!(result, Found::Nothing);
        results.push(result);
        if is_end {
            break;
        }
    }
    let tape = &mut cx.tape;
    tape.clear();
    for result in &results {
        match result {
            Found::Nothing => tape.nil(),
            Found::Text(text) => tape.text(text),
            Found::Number(number) => tape.number(*number),
        }
    }
    Ok(Answer::Tape(results.len()))
}

fn one(
    cx: &mut Context,
    call: &Call<'_>,
    number: usize,
    file: &mut OpenFile,
) -> Result<Found, Complaint> {
    let args = &call.args;
    match call.value(number) {
        Value::Number(_) => {
            let count = usize::try_from(call.whole(number, "format", 0..=1 << 32)?).unwrap_or(0);
            // No bytes at all are there until the end.
            let enough = |bytes: &[u8]| (bytes.len() >= count.max(1)).then_some(count);
            let (bytes, is_whole) = take(cx, args, file, enough)?;
            Ok(if is_whole || !bytes.is_empty() { Found::Text(bytes) } else { Found::Nothing })
        }
        Value::Nil => Ok(line(cx, args, file)?.map_or(Found::Nothing, Found::Text)),
        Value::Text(format) => match format.strip_prefix(b"*").unwrap_or(format).first() {
            Some(b'l') => Ok(line(cx, args, file)?.map_or(Found::Nothing, Found::Text)),
            Some(b'a') => Ok(Found::Text(take(cx, args, file, |_| None)?.0)),
            Some(b'n') => numeral(cx, args, file),
            _ => Err(call.refused(number, "format", "*l, *a, *n or a number expected")),
        },
        _ => Err(call.wrong(number, "string or number")),
    }
}

/// Reads until `is_enough` says how many bytes are wanted, or the end.
fn take(
    cx: &mut Context,
    args: &Args<'_>,
    file: &mut OpenFile,
    is_enough: impl Fn(&[u8]) -> Option<usize>,
) -> Result<(Vec<u8>, bool), Complaint> {
    loop {
        if let Some(count) = is_enough(&file.ahead[file.taken..]) {
            let taken = file.ahead[file.taken..file.taken + count].to_vec();
            file.taken += count;
            return Ok((taken, true));
        }
        if !args.admit(file.ahead.len() - file.taken + BUFFER) {
            return Err("not enough memory".into());
        }
        if !file.fill(cx, args)? {
            let rest = file.ahead.split_off(file.taken);
            if !file.is_at_end {
                // Only a stop ends the wait: the rest stays for whoever asks again.
                file.ahead = rest;
                file.taken = 0;
                return Ok((Vec::new(), false));
            }
            file.ahead.clear();
            file.taken = 0;
            return Ok((rest, false));
        }
    }
}

/// The next line without its end; `None` at the end.
pub(super) fn line(
    cx: &mut Context,
    args: &Args<'_>,
    file: &mut OpenFile,
) -> Result<Option<Vec<u8>>, Complaint> {
    let newline = |bytes: &[u8]| memchr::memchr(b'\n', bytes).map(|at| at + 1);
    let (mut line, is_ended) = take(cx, args, file, newline)?;
    if is_ended {
        line.pop();
    }
    Ok((is_ended || !line.is_empty()).then_some(line))
}

/// The next number, blanks before it passed over; what is behind it stays.
fn numeral(cx: &mut Context, args: &Args<'_>, file: &mut OpenFile) -> Result<Found, Complaint> {
    let blank = |bytes: &[u8]| bytes.iter().position(|byte| !byte.is_ascii_whitespace());
    take(cx, args, file, blank)?;
    let end = |bytes: &[u8]| {
        let length = numeral_length(bytes);
        (length < bytes.len() || length >= MAX_NUMBER).then_some(length)
    };
    let (mut text, is_ended) = take(cx, args, file, end)?;
    if !is_ended {
        let behind = text.split_off(numeral_length(&text));
        file.ahead = behind;
        file.taken = 0;
    }
    Ok(value(&text).map_or(Found::Nothing, Found::Number))
}

/// How many bytes at the start of `bytes` belong to a number, or may if more follow.
fn numeral_length(bytes: &[u8]) -> usize {
    let digits = |from: usize, is_digit: fn(&u8) -> bool| {
        bytes[from..].iter().take_while(|byte| is_digit(byte)).count()
    };
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    let mut at = usize::from(is(0, b"+-"));
    if is(at, b"0") && is(at + 1, b"xX") {
        return at + 2 + digits(at + 2, u8::is_ascii_hexdigit);
    }
    at += digits(at, u8::is_ascii_digit);
    if is(at, b".") {
        at += 1;
        at += digits(at, u8::is_ascii_digit);
    }
    if is(at, b"eE") && bytes[..at].iter().any(u8::is_ascii_digit) {
        at += 1 + usize::from(is(at + 1, b"+-"));
        at += digits(at.min(bytes.len()), u8::is_ascii_digit);
    }
    at.min(bytes.len())
}

/// The number that a text is.
fn value(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (sign, bare) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if let Some(digits) = bare.strip_prefix("0x").or_else(|| bare.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok().map(|number| sign * number as f64);
    }
    bare.parse::<f64>().ok().map(|number| sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_ends_where_it_does() {
        for (text, length, expected) in [
            ("12,13", 2, Some(12.0)),
            ("-1.5e3x", 6, Some(-1500.0)),
            ("0x1Fg", 4, Some(31.0)),
            ("+.5 ", 3, Some(0.5)),
            ("abc", 0, None),
            ("-", 1, None),
            ("e5", 0, None),
            ("1e", 2, None),
            ("", 0, None),
        ] {
            assert_eq!(numeral_length(text.as_bytes()), length, "{text}");
            assert_eq!(value(&text.as_bytes()[..length]), expected, "{text}");
        }
    }
}
