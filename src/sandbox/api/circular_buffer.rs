//! `circular_buffer`: the last so many intervals of time, a row of numbers for each.

use std::any::Any;
use std::cell::RefMut;

use crate::analysis::circular_buffer::Aggregation;
use crate::analysis::circular_buffer::CircularBuffer;
use crate::analysis::circular_buffer::Format;
use crate::analysis::circular_buffer::Function;
use crate::analysis::circular_buffer::Importance;
use crate::sandbox::arguments::Call;
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
    let call = Call::function("new", args);
    let rows = call.whole(1, "rows", 2..=i64::MAX)?;
    let columns = call.whole(2, "columns", 1..=i64::MAX)?;
    let seconds = call.whole(3, "seconds_per_row", 1..=i64::from(u32::MAX))?;
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    let size = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    let (rows, columns) = (size(rows), size(columns));
    let keeps_changes = args.truth(4);
    call.admit(CircularBuffer::footprint_of(rows, columns, keeps_changes))?;
    let buffer = CircularBuffer::new(rows, columns, seconds, keeps_changes)
        .map_err(|error| error.to_string())?;
    cx.park(Box::new(buffer));
    Ok(Answer::Parked)
}

/// The buffer, which keeps changes from now on: Hindsight's always do.
fn tracked<'a>(call: &Call<'a>) -> Result<RefMut<'a, CircularBuffer>, Complaint> {
    let mut buffer = call.this::<CircularBuffer>()?;
    if buffer.keeps_changes() {
        return Ok(buffer);
    }
    let (rows, columns, _) = buffer.configuration();
    call.admit(CircularBuffer::footprint_of(rows, columns, true))?;
    buffer.keep_changes();
    drop(buffer);
    call.args.recount(1)?;
    call.this()
}

/// A column, counted from zero.
fn column(call: &Call<'_>, number: usize, columns: usize) -> Result<usize, Complaint> {
    let column = call.number(number)?;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "such a cast saturates"
    )]
    match column as usize {
        column @ 1.. if column <= columns => Ok(column - 1),
        _ => Err(call.complaint(number, "column out of range")),
    }
}

fn or_nil<'a>(value: Option<f64>) -> Answer<'a> {
    value.map_or(Answer::Nil, Answer::Number)
}

/// `cb:add(ns, column, value)` → the cell's value, nil before the window.
fn add<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("add", args);
    let mut buffer = call.this::<CircularBuffer>()?;
    let column = column(&call, 2, buffer.configuration().1)?;
    Ok(or_nil(buffer.add(call.time(1)?, column, call.number(3)?)))
}

/// `cb:set(ns, column, value)` → the cell's value, nil before the window.
fn set<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("set", args);
    let mut buffer = call.this::<CircularBuffer>()?;
    let column = column(&call, 2, buffer.configuration().1)?;
    Ok(or_nil(buffer.set(call.time(1)?, column, call.number(3)?)))
}

/// `cb:get(ns, column)` → the cell's value, NaN for an empty one, nil outside the window.
fn get<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("get", args);
    let buffer = call.this::<CircularBuffer>()?;
    let column = column(&call, 2, buffer.configuration().1)?;
    Ok(or_nil(buffer.get(call.time(1)?, column)))
}

/// `cb:get_configuration()` → rows, columns, seconds per row.
fn get_configuration<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("get_configuration", args);
    let (rows, columns, seconds_per_row) = call.this::<CircularBuffer>()?.configuration();
    cx.tape.clear();
    cx.tape.number(rows as f64);
    cx.tape.number(columns as f64);
    cx.tape.number(f64::from(seconds_per_row));
    Ok(Answer::Tape(3))
}

/// `cb:set_header(column, name[, unit[, aggregation]])` → column.
fn set_header<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("set_header", args);
    let mut buffer = call.this::<CircularBuffer>()?;
    let column = column(&call, 1, buffer.configuration().1)?;
    let name = call.text(2)?;
    let unit = call.optional_text(3, b"count")?;
    let aggregation = call.one_of((4, Some(b"sum")), Aggregation::named)?;
    buffer.set_header(column, name, unit, aggregation);
    Ok(Answer::Number((column + 1) as f64))
}

/// `cb:get_header(column)` → name, unit, aggregation.
fn get_header<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("get_header", args);
    let buffer = call.this::<CircularBuffer>()?;
    let column = column(&call, 1, buffer.configuration().1)?;
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
    let call = Call::method("compute", args);
    let buffer = call.this::<CircularBuffer>()?;
    let function = call.one_of((1, None), Function::named)?;
    let column = column(&call, 2, buffer.configuration().1)?;
    let (start, end) = (call.optional_time(3)?, call.optional_time(4)?);
    if let (Some(start), Some(end)) = (start, end)
        && start > end
    {
        return Err(call.complaint(4, "end must be >= start"));
    }
    Ok(match buffer.compute(function, column, start, end) {
        None => Answer::Nil,
        Some((value, rows)) => Answer::Pair(value, rows as f64),
    })
}

/// `cb:mannwhitneyu(column, start_1, end_1, start_2, end_2[, use_continuity])` → U of the first
/// stretch, p; nil out of range or when all values are the same.
fn mannwhitneyu<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("mannwhitneyu", args);
    let buffer = call.this::<CircularBuffer>()?;
    let column = column(&call, 1, buffer.configuration().1)?;
    let one = (call.time(2)?, call.time(3)?);
    let other = (call.time(4)?, call.time(5)?);
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
    let call = Call::method("current_time", args);
    Ok(Answer::Number(call.this::<CircularBuffer>()?.current_time() as f64))
}

/// `cb:format("cbuf" or "cbufd")` → cb.
fn format<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("format", args);
    let format = call.one_of((1, None), |name| match name {
        b"cbuf" => Some(Format::Full),
        b"cbufd" => Some(Format::Changes),
        _ => None,
    })?;
    let mut buffer =
        if format == Format::Changes { tracked(&call)? } else { call.this::<CircularBuffer>()? };
    buffer.use_format(format);
    Ok(Answer::Argument(1))
}

/// `cb:fromstring(text)` takes over the numbers that Heka preserved.
fn fromstring<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("fromstring", args);
    let text = call.text(1)?;
    call.this::<CircularBuffer>()?
        .read_text(text)
        .map_err(|error| format!("fromstring() {error}"))?;
    Ok(Answer::Nothing)
}

/// `circular_buffer.version()` → the version of this library.
fn version<'a>(_: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Text(b"1.0.0"))
}

/// `cb:get_delta(ns, column)` → what was added to the cell since the changes were printed, NaN for
/// nothing; nil outside the window.
fn get_delta<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("get_delta", args);
    let buffer = tracked(&call)?;
    let column = column(&call, 2, buffer.configuration().1)?;
    Ok(or_nil(buffer.change_of(call.time(1)?, column)))
}

/// `cb:reset_delta()` forgets the changes.
fn reset_delta<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("reset_delta", args);
    tracked(&call)?.forget_changes();
    Ok(Answer::Nothing)
}

/// `cb:get_range(column[, start[, end]])` → a list of the values, oldest first; nil out of range.
fn get_range<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    range(cx, &Call::method("get_range", args), CircularBuffer::get)
}

/// `cb:get_range_delta(column[, start[, end]])` → a list of the changes, as `get_range`.
fn get_range_delta<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("get_range_delta", args);
    drop(tracked(&call)?);
    range(cx, &call, CircularBuffer::change_of)
}

/// Bytes that one value of a list takes on its way to Lua, about.
const VALUE_BYTES: usize = 96;

fn range<'a>(
    cx: &'a mut Context,
    call: &Call<'a>,
    value: fn(&CircularBuffer, i64, usize) -> Option<f64>,
) -> Result<Answer<'a>, Complaint> {
    let buffer = call.this::<CircularBuffer>()?;
    let (rows, columns, _) = buffer.configuration();
    let column = column(call, 1, columns)?;
    call.admit(rows.checked_mul(VALUE_BYTES))?;
    let times = buffer.times(call.optional_time(2)?, call.optional_time(3)?);
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
    let call = Call::method("annotate", args);
    let mut buffer = call.this::<CircularBuffer>()?;
    let column = column(&call, 2, buffer.configuration().1)?;
    let importance = call.one_of((3, None), |name| match name {
        b"info" => Some(Importance::Info),
        b"alert" => Some(Importance::Alert),
        _ => None,
    })?;
    let text = call.text(4)?;
    let text = String::from_utf8_lossy(&text[..text.len().min(MAX_NOTE)]);
    let is_change = args.is_absent(6) || args.truth(6);
    buffer.annotate(call.time(1)?, column, importance, &text, is_change);
    drop(buffer);
    args.recount(1)?;
    Ok(Answer::Nothing)
}

/// No more of the text of a note is looked at, in bytes.
const MAX_NOTE: usize = 2048;
