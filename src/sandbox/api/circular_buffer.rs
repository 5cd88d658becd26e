//! `circular_buffer`: the last so many intervals of time, a row of numbers for each.

use std::any::Any;
use std::cell::RefMut;

use crate::analysis::circular_buffer::Aggregation;
use crate::analysis::circular_buffer::CircularBuffer;
use crate::analysis::circular_buffer::Format;
use crate::analysis::circular_buffer::Function;
use crate::analysis::circular_buffer::Importance;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;
use crate::sandbox::raw::Named;
use crate::sandbox::raw::Object;
use crate::sandbox::raw::ObjectKind;

/// Tells circular buffers from other native objects.
const TAG: u8 = 1;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"circular_buffer",
    functions: &[(c"new", new), (c"version", version)],
    parts: &[],
    kinds: &[ObjectKind {
        tag: TAG,
        name: c"circular_buffer",
        methods: METHODS,
        metamethods: &[],
        load: |state| Some(Box::new(CircularBuffer::load(state).ok()?)),
    }],
};

/// What a buffer can do.
const METHODS: &[Named] = &[
    (c"add", add),
    (c"set", set),
    (c"get", get),
    (c"get_configuration", get_configuration),
    (c"set_header", set_header),
    (c"get_header", get_header),
    (c"compute", compute),
    (c"mannwhitneyu", mannwhitneyu),
    (c"current_time", current_time),
    (c"format", format),
    (c"fromstring", fromstring),
    (c"get_delta", get_delta),
    (c"reset_delta", reset_delta),
    (c"get_range", get_range),
    (c"get_range_delta", get_range_delta),
    (c"annotate", annotate),
];

impl Object for CircularBuffer {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        let (rows, columns, _) = self.configuration();
        CircularBuffer::footprint_of(rows, columns, self.keeps_changes())
            .map_or(usize::MAX / 4, |bytes| bytes + self.annotation_bytes())
    }

    fn print(&mut self, out: &mut Vec<u8>) -> bool {
        CircularBuffer::print(self, out);
        if self.prints_changes() {
            self.forget_changes();
        }
        true
    }

    fn save(&self, out: &mut Vec<u8>) {
        CircularBuffer::save(self, out);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        CircularBuffer::restore(self, state).map_err(|error| error.to_string())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// `circular_buffer.new(rows, columns, seconds_per_row[, enable_delta])`.
fn new<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let rows = whole(&args, 1).filter(|rows| *rows > 1);
    let rows = rows.ok_or("bad argument #1 to 'new' (rows must be > 1)")?;
    let columns = whole(&args, 2).filter(|columns| *columns > 0);
    let columns = columns.ok_or("bad argument #2 to 'new' (columns must be > 0)")?;
    let seconds = whole(&args, 3).filter(|seconds| *seconds > 0);
    let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
    let seconds = seconds.ok_or("bad argument #3 to 'new' (seconds_per_row must be > 0)")?;
    let keeps_changes = args.truth(4);
    let bytes = CircularBuffer::footprint_of(rows, columns, keeps_changes);
    if !bytes.is_some_and(|bytes| args.admit(bytes)) {
        return Err("not enough memory".into());
    }
    let buffer = CircularBuffer::new(rows, columns, seconds, keeps_changes)
        .map_err(|error| error.to_string())?;
    cx.park(Box::new(buffer));
    Ok(Answer::Parked)
}

fn this<'a>(args: &Args<'a>) -> Result<RefMut<'a, CircularBuffer>, Complaint> {
    args.object::<CircularBuffer>(1).ok_or_else(|| "circular_buffer expected".into())
}

/// The buffer, which keeps changes from now on: Hindsight's always do.
fn tracked<'a>(args: &Args<'a>) -> Result<RefMut<'a, CircularBuffer>, Complaint> {
    let mut buffer = this(args)?;
    if buffer.keeps_changes() {
        return Ok(buffer);
    }
    let (rows, columns, _) = buffer.configuration();
    if !CircularBuffer::footprint_of(rows, columns, true).is_some_and(|bytes| args.admit(bytes)) {
        return Err("not enough memory".into());
    }
    buffer.keep_changes();
    drop(buffer);
    args.recount(1)?;
    this(args)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is checked, and such casts saturate"
)]
fn whole(args: &Args<'_>, index: usize) -> Option<usize> {
    args.number(index).filter(|number| *number >= 0.0).map(|number| number as usize)
}

/// A column, counted from zero.
fn column(args: &Args<'_>, index: usize, columns: usize) -> Result<usize, Complaint> {
    match whole(args, index) {
        Some(column) if (1..=columns).contains(&column) => Ok(column - 1),
        _ => Err(format!("bad argument #{} (column out of range)", index - 1).into()),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
fn time(args: &Args<'_>, index: usize) -> Result<i64, Complaint> {
    match args.number(index) {
        Some(ns) if !ns.is_nan() => Ok(ns as i64),
        _ => Err(format!("bad argument #{} (nanoseconds expected)", index - 1).into()),
    }
}

fn optional_time(args: &Args<'_>, index: usize) -> Result<Option<i64>, Complaint> {
    if args.is_absent(index) { Ok(None) } else { time(args, index).map(Some) }
}

fn value(args: &Args<'_>, index: usize) -> Result<f64, Complaint> {
    args.number(index)
        .ok_or_else(|| format!("bad argument #{} (number expected)", index - 1).into())
}

fn or_nil<'a>(value: Option<f64>) -> Answer<'a> {
    value.map_or(Answer::Nil, Answer::Number)
}

/// `cb:add(ns, column, value)` → the cell's value, nil before the window.
fn add<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let mut buffer = this(&args)?;
    let column = column(&args, 3, buffer.configuration().1)?;
    Ok(or_nil(buffer.add(time(&args, 2)?, column, value(&args, 4)?)))
}

/// `cb:set(ns, column, value)` → the cell's value, nil before the window.
fn set<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let mut buffer = this(&args)?;
    let column = column(&args, 3, buffer.configuration().1)?;
    Ok(or_nil(buffer.set(time(&args, 2)?, column, value(&args, 4)?)))
}

/// `cb:get(ns, column)` → the cell's value, NaN for an empty one, nil outside the window.
fn get<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let buffer = this(&args)?;
    let column = column(&args, 3, buffer.configuration().1)?;
    Ok(or_nil(buffer.get(time(&args, 2)?, column)))
}

/// `cb:get_configuration()` → rows, columns, seconds per row.
fn get_configuration<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let (rows, columns, seconds_per_row) = this(&args)?.configuration();
    cx.tape.clear();
    cx.tape.number(rows as f64);
    cx.tape.number(columns as f64);
    cx.tape.number(f64::from(seconds_per_row));
    Ok(Answer::Tape(3))
}

/// `cb:set_header(column, name[, unit[, aggregation]])` → column.
fn set_header<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let mut buffer = this(&args)?;
    let column = column(&args, 2, buffer.configuration().1)?;
    let name = args.text(3).ok_or("bad argument #2 to 'set_header' (string expected)")?;
    let unit = args.text(4).unwrap_or(b"count");
    let aggregation = Aggregation::named(args.text(5).unwrap_or(b"sum"))
        .ok_or("bad argument #4 to 'set_header' (aggregation: sum, min, max or none)")?;
    buffer.set_header(column, name, unit, aggregation);
    Ok(Answer::Number((column + 1) as f64))
}

/// `cb:get_header(column)` → name, unit, aggregation.
fn get_header<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let buffer = this(&args)?;
    let column = column(&args, 2, buffer.configuration().1)?;
    let Some(header) = buffer.header(column) else { return Ok(Answer::Nil) };
    cx.tape.clear();
    cx.tape.text(header.name.as_bytes());
    cx.tape.text(header.unit.as_bytes());
    cx.tape.text(header.aggregation.name().as_bytes());
    Ok(Answer::Tape(3))
}

/// `cb:compute(function, column[, start[, end]])` → value, rows that are not empty; nil out of
/// range.
fn compute<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let buffer = this(&args)?;
    let function = Function::named(args.text(2).unwrap_or_default())
        .ok_or("bad argument #1 to 'compute' (sum, avg, sd, min, max or variance)")?;
    let column = column(&args, 3, buffer.configuration().1)?;
    let (start, end) = (optional_time(&args, 4)?, optional_time(&args, 5)?);
    if let (Some(start), Some(end)) = (start, end)
        && start > end
    {
        return Err("bad argument #4 to 'compute' (end must be >= start)".into());
    }
    Ok(match buffer.compute(function, column, start, end) {
        None => Answer::Nil,
        Some((value, rows)) => Answer::Pair(value, rows as f64),
    })
}

/// `cb:mannwhitneyu(column, start_1, end_1, start_2, end_2[, use_continuity])` → U of the first
/// stretch, p; nil out of range or when all values are the same.
fn mannwhitneyu<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let buffer = this(&args)?;
    let column = column(&args, 2, buffer.configuration().1)?;
    let one = (time(&args, 3)?, time(&args, 4)?);
    let other = (time(&args, 5)?, time(&args, 6)?);
    if one.0 > one.1 || other.0 > other.1 {
        return Err("mannwhitneyu() a range must not end before it starts".into());
    }
    if buffer.overlap(one, other) {
        return Err("mannwhitneyu() ranges must not overlap".into());
    }
    let uses_continuity = args.is_absent(7) || args.truth(7);
    Ok(match buffer.mann_whitney(column, one, other, uses_continuity) {
        None => Answer::Nil,
        Some(found) => Answer::Pair(found.u, found.p),
    })
}

/// `cb:current_time()` → when the newest row begins, in nanoseconds.
fn current_time<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Number(this(&args)?.current_time() as f64))
}

/// `cb:format("cbuf" or "cbufd")` → cb.
fn format<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let format = match args.text(2) {
        Some(b"cbuf") => Format::Full,
        Some(b"cbufd") => Format::Changes,
        _ => return Err("bad argument #1 to 'format' (cbuf or cbufd)".into()),
    };
    let mut buffer = if format == Format::Changes { tracked(&args)? } else { this(&args)? };
    buffer.use_format(format);
    Ok(Answer::Argument(1))
}

/// `cb:fromstring(text)` takes over the numbers that Heka preserved.
fn fromstring<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let text = args.text(2).ok_or("bad argument #1 to 'fromstring' (string expected)")?;
    this(&args)?.read_text(text).map_err(|error| format!("fromstring() {error}"))?;
    Ok(Answer::Nothing)
}

/// `circular_buffer.version()` → the version of this library.
fn version<'a>(_: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Text(b"1.0.0"))
}

/// `cb:get_delta(ns, column)` → what was added to the cell since the changes were printed, NaN for
/// nothing; nil outside the window.
fn get_delta<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let buffer = tracked(&args)?;
    let column = column(&args, 3, buffer.configuration().1)?;
    Ok(or_nil(buffer.change_of(time(&args, 2)?, column)))
}

/// `cb:reset_delta()` forgets the changes.
fn reset_delta<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    tracked(&args)?.forget_changes();
    Ok(Answer::Nothing)
}

/// `cb:get_range(column[, start[, end]])` → a list of the values, oldest first; nil out of range.
fn get_range<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    range(cx, args, CircularBuffer::get)
}

/// `cb:get_range_delta(column[, start[, end]])` → a list of the changes, as `get_range`.
fn get_range_delta<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    drop(tracked(&args)?);
    range(cx, args, CircularBuffer::change_of)
}

/// Bytes that one value of a list takes on its way to Lua, about.
const VALUE_BYTES: usize = 96;

fn range<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
    value: fn(&CircularBuffer, i64, usize) -> Option<f64>,
) -> Result<Answer<'a>, Complaint> {
    let buffer = this(&args)?;
    let (rows, columns, _) = buffer.configuration();
    let column = column(&args, 2, columns)?;
    if !args.admit(rows.saturating_mul(VALUE_BYTES)) {
        return Err("not enough memory".into());
    }
    let times = buffer.times(optional_time(&args, 3)?, optional_time(&args, 4)?);
    let Some(times) = times else { return Ok(Answer::Nil) };
    let tape = &mut cx.tape;
    tape.clear();
    tape.table(times.len(), 0);
    for (index, time) in times.into_iter().enumerate() {
        tape.number(value(&buffer, time, column).unwrap_or(f64::NAN));
        tape.item(index + 1);
    }
    Ok(Answer::Tape(1))
}

/// `cb:annotate(ns, column, "info" or "alert", text[, delta])` puts a note at a cell; it is printed with
/// the changes too unless `delta` is false.
fn annotate<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let mut buffer = this(&args)?;
    let column = column(&args, 3, buffer.configuration().1)?;
    let importance = match args.text(4) {
        Some(b"info") => Importance::Info,
        Some(b"alert") => Importance::Alert,
        _ => return Err("bad argument #3 to 'annotate' (info or alert expected)".into()),
    };
    let text = args.text(5).ok_or("bad argument #4 to 'annotate' (text: string expected)")?;
    let text = String::from_utf8_lossy(&text[..text.len().min(MAX_NOTE)]);
    let is_change = args.is_absent(6) || args.truth(6);
    buffer.annotate(time(&args, 2)?, column, importance, &text, is_change);
    drop(buffer);
    args.recount(1)?;
    Ok(Answer::Nothing)
}

/// No more of the text of a note is looked at, in bytes.
const MAX_NOTE: usize = 2048;
