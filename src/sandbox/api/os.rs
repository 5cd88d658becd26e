//! `os.time`, `os.date`, `os.clock`, `os.difftime`, and `print`.
//!
//! In a filter they give the time of the entry that is being read, so that the same journal gives
//! the same answers; everywhere else the wall clock. All is UTC.

use std::fmt::Write;

use chrono::Datelike;
use chrono::Timelike;

use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Value;
use crate::sandbox::spec::Role;
use crate::sandbox::time;
use crate::stdx::clock;
use crate::stdx::decimal;

/// The longest text `os.date` takes and gives, in bytes.
const MAX_DATE: usize = 1024;

/// At most so many lines of a call are printed, each cut at [`MAX_LINE`].
const MAX_LINES: u32 = 20;
const MAX_LINE: usize = 1000;

/// `os.time([table])` → seconds since the epoch.
pub(super) fn os_time<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let table = match args.value(1) {
        Value::Nil => return Ok(Answer::Number(time::seconds(cx.time_ns()))),
        Value::Table(table) => table,
        _ => return Err(Call::function("time", args).wrong(1, "table")),
    };
    let mut parts: [Option<i64>; 6] = [None, None, None, Some(12), Some(0), Some(0)];
    table.each(|key, value| {
        let place = match key {
            Value::Text(b"year") => 0,
            Value::Text(b"month") => 1,
            Value::Text(b"day") => 2,
            Value::Text(b"hour") => 3,
            Value::Text(b"min") => 4,
            Value::Text(b"sec") => 5,
            _ => return Ok(()),
        };
        #[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
        let number = match value {
            Value::Number(number) => Some(number as i64),
            Value::Text(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
            _ => None,
        };
        parts[place] = Some(number.ok_or("os.time() takes a table of numbers")?);
        Ok::<(), Complaint>(())
    })?;
    let [Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)] = parts else {
        let missing = [(2, "day"), (1, "month"), (0, "year")];
        let name = missing.iter().find(|(place, _)| parts[*place].is_none()).map_or("", |m| m.1);
        return Err(format!("field '{name}' missing in date table").into());
    };
    let second = hour
        .checked_mul(3600)
        .and_then(|hours| minute.checked_mul(60)?.checked_add(hours)?.checked_add(second));
    let seconds = second.and_then(|second| time::of_parts(year, month, day, second));
    Ok(seconds.map_or(Answer::Nil, |seconds| Answer::Number(seconds as f64)))
}

/// `os.date([format[, seconds]])` → text, or a table for the format `*t`.
pub(super) fn date<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("date", args);
    let format = call.optional_text(1, b"%c")?;
    let format = format.strip_prefix(b"!").unwrap_or(format);
    let format = std::str::from_utf8(format).ok().filter(|format| format.len() <= MAX_DATE);
    let format = format.ok_or(WRONG_FORMAT)?;
    let seconds = call.optional_number(2, time::seconds(cx.time_ns()))?;
    let Some(moment) = time::of_seconds(seconds) else { return Ok(Answer::Nil) };
    if format.starts_with("*t") {
        let tape = &mut cx.tape;
        tape.clear();
        tape.table(0, 9);
        for (name, number) in [
            (&b"year"[..], f64::from(moment.year())),
            (b"month", f64::from(moment.month())),
            (b"day", f64::from(moment.day())),
            (b"hour", f64::from(moment.hour())),
            (b"min", f64::from(moment.minute())),
            (b"sec", f64::from(moment.second())),
            (b"wday", f64::from(moment.weekday().num_days_from_sunday() + 1)),
            (b"yday", f64::from(moment.ordinal())),
        ] {
            tape.text(name);
            tape.number(number);
            tape.pair();
        }
        tape.text(b"isdst");
        tape.bool(false);
        tape.pair();
        return Ok(Answer::Tape(1));
    }
    let mut text = String::new();
    write!(text, "{}", moment.and_utc().format(format)).map_err(|_| WRONG_FORMAT)?;
    if text.len() > 16 * MAX_DATE {
        return Err(WRONG_FORMAT.into());
    }
    cx.scratch.clear();
    cx.scratch.extend_from_slice(text.as_bytes());
    Ok(Answer::Text(&cx.scratch))
}

const WRONG_FORMAT: &str = "os.date() format is wrong or too long";

/// `os.clock()` → seconds: of the entry's time in a filter, else of CPU time.
pub(super) fn clock<'a>(cx: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Number(if cx.setting.role == Role::Filter {
        cx.now.ns as f64 / 1e9
    } else {
        clock::thread_cpu().as_secs_f64()
    }))
}

/// `os.difftime(later, earlier)` → seconds between them.
pub(super) fn difftime<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("difftime", args);
    Ok(Answer::Number(call.number(1)? - call.optional_number(2, 0.0)?))
}

/// `print(...)` writes to the log of the host.
pub(super) fn print<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    cx.call.printed += 1;
    if cx.call.printed > MAX_LINES {
        return Ok(Answer::Nothing);
    }
    let mut line = Vec::new();
    for index in 1..=args.len() {
        if index > 1 {
            line.push(b'\t');
        }
        match args.value(index) {
            Value::Nil => line.extend_from_slice(b"nil"),
            Value::Bool(truth) => line.extend_from_slice(if truth { b"true" } else { b"false" }),
            Value::Number(value) => decimal::write_general(&mut line, value, 14),
            Value::Integer(value) => {
                line.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            Value::Text(text) => line.extend_from_slice(&text[..text.len().min(MAX_LINE)]),
            other => line.extend_from_slice(other.kind().name().as_bytes()),
        }
        if line.len() > MAX_LINE {
            line.truncate(MAX_LINE);
            break;
        }
    }
    let line = String::from_utf8_lossy(&line);
    tracing::info!(plugin = cx.setting.name, "{line}");
    Ok(Answer::Nothing)
}
