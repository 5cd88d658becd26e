//! `read_message`: any part of the message, copied when it is asked for; or a reader that stands for the
//! part, and is written where payloads and files are, without a copy in Lua.

use std::any::Any;

use crate::message::Draft;
use crate::message::Field;
use crate::message::Message;
use crate::message::Value;
use crate::message::uuid_text;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Object;
use crate::sandbox::raw::ObjectKind;
use crate::sandbox::raw::Value as Given;
use crate::sandbox::selector::Part;
use crate::sandbox::selector::Selector;
use crate::sandbox::selector::parse;
use crate::stdx::decimal;

/// What `read_message` gives when asked for no copy.
pub(super) const KIND: ObjectKind = ObjectKind {
    tag: TAG,
    name: c"message_reader",
    methods: &[],
    metamethods: &[(c"__tostring", tostring)],
    load: |state| Some(Box::new(Reader::load(state)?)),
};

const TAG: u8 = 27;

/// Stands for a part of whatever message is at hand when it is written.
#[derive(Clone, Debug)]
struct Reader {
    name: Vec<u8>,
    selector: Selector,
}

impl Reader {
    fn load(state: &[u8]) -> Option<Reader> {
        let (field, rest) = state.split_first_chunk::<4>()?;
        let (value, name) = rest.split_first_chunk::<4>()?;
        let (field, value) = (u32::from_le_bytes(*field), u32::from_le_bytes(*value));
        let mut selector = parse(name)?;
        (selector.field, selector.value) = (field, value);
        Some(Reader { name: name.to_vec(), selector })
    }
}

impl Object for Reader {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        size_of::<Reader>() + self.name.len()
    }

    fn print(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }

    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.selector.field.to_le_bytes());
        out.extend_from_slice(&self.selector.value.to_le_bytes());
        out.extend_from_slice(&self.name);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        *self = Reader::load(state).ok_or("the saved state is damaged")?;
        Ok(())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// Appends what a reader stands for, nothing where the message has no such part; false when `given` is no
/// reader.
pub(super) fn put(cx: &mut Context, given: Given<'_>, out: &mut Vec<u8>) -> bool {
    let Given::Object(object) = given else { return false };
    let reader = object
        .try_borrow_mut()
        .ok()
        .and_then(|mut object| object.as_any_mut().downcast_ref::<Reader>().cloned());
    let Some(reader) = reader else { return false };
    match read(cx, &reader.name, reader.selector) {
        Answer::Text(text) => out.extend_from_slice(text),
        Answer::Number(number) => decimal::write(out, number),
        Answer::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
        _ => {}
    }
    true
}

/// `tostring(reader)` → what it stands for.
fn tostring<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let mut text = Vec::new();
    put(cx, args.value(1), &mut text);
    if !args.admit(text.len()) {
        return Err("not enough memory".into());
    }
    cx.scratch.clear();
    cx.scratch.extend_from_slice(&text);
    Ok(Answer::Text(&cx.scratch))
}

/// `read_message(name[, field_index[, array_index[, zero_copy]]])` → the value, nil when there is none; a
/// reader for what may be text, when `zero_copy` is true.
pub(super) fn read_message<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let Some((text, selector)) = args.selector(1) else {
        return Err(Call::function("read_message", args).wrong(1, "string"));
    };
    let Some(mut selector) = selector else { return Ok(Answer::Nil) };
    if args.len() > 1 {
        let call = Call::function("read_message", args);
        selector.field = index(&call, 2, FIELD_INDEX)?.unwrap_or(selector.field);
        selector.value = index(&call, 3, ARRAY_INDEX)?.unwrap_or(selector.value);
        let is_number =
            matches!(selector.part, Part::Timestamp | Part::Severity | Part::Pid | Part::Size);
        if args.truth(4) && !is_number {
            let reader = Reader { name: text.to_vec(), selector };
            if !args.admit(reader.footprint()) {
                return Err("not enough memory".into());
            }
            cx.park(Box::new(reader));
            return Ok(Answer::Parked);
        }
    }
    Ok(read(cx, text, selector))
}

/// Reads a part of whatever the call is about; nil when it is about nothing.
pub(super) fn read<'a>(cx: &'a mut Context, text: &'a [u8], selector: Selector) -> Answer<'a> {
    let Context { loan, call, scratch, .. } = cx;
    let changed = if call.has_copy { Some(&call.copy) } else { loan.draft() };
    if let Some(draft) = changed {
        return of_draft(draft, text, selector, scratch);
    }
    match loan.message() {
        Some(message) => of_message(message, text, selector, scratch),
        None => Answer::Nil,
    }
}

pub(super) fn of_message<'a>(
    message: Message<'a>,
    text: &[u8],
    selector: Selector,
    scratch: &'a mut Vec<u8>,
) -> Answer<'a> {
    let when = |is_there, text| if is_there { Answer::Text(text) } else { Answer::Text(b"") };
    match selector.part {
        Part::Field => {
            let name = selector.name(text);
            let value = message.value(name, selector.field as usize, selector.value as usize);
            value.map_or(Answer::Nil, of_value)
        }
        Part::Type => when(message.has_message_type(), message.message_type()),
        Part::Payload => when(message.has_payload(), message.payload()),
        Part::Logger => when(message.has_logger(), message.logger()),
        Part::Hostname => when(message.has_hostname(), message.hostname()),
        Part::EnvVersion => when(message.has_env_version(), message.env_version()),
        Part::Timestamp => Answer::Number(message.timestamp() as f64),
        Part::Severity => Answer::Number(f64::from(message.severity())),
        Part::Pid => Answer::Number(f64::from(message.pid())),
        Part::Uuid => of_uuid(message.uuid(), scratch),
        Part::Raw => Answer::Text(message.bytes()),
        Part::Size => Answer::Number(message.bytes().len() as f64),
        Part::Framed => {
            scratch.clear();
            crate::message::frame::put(scratch, message.bytes());
            Answer::Text(scratch)
        }
        Part::Fields => Answer::Nil,
    }
}

fn of_draft<'a>(
    draft: &'a Draft,
    text: &[u8],
    selector: Selector,
    scratch: &'a mut Vec<u8>,
) -> Answer<'a> {
    let of_text = |text: &'a Option<Vec<u8>>| Answer::Text(text.as_deref().unwrap_or_default());
    match selector.part {
        Part::Field => draft
            .field(selector.name(text), selector.field as usize)
            .and_then(|field: Field<'a>| field.value(selector.value as usize))
            .map_or(Answer::Nil, of_value),
        Part::Type => of_text(&draft.message_type),
        Part::Payload => of_text(&draft.payload),
        Part::Logger => of_text(&draft.logger),
        Part::Hostname => of_text(&draft.hostname),
        Part::EnvVersion => of_text(&draft.env_version),
        Part::Timestamp => Answer::Number(draft.timestamp.unwrap_or(0) as f64),
        Part::Severity => {
            Answer::Number(f64::from(draft.severity.unwrap_or(crate::message::DEFAULT_SEVERITY)))
        }
        Part::Pid => Answer::Number(f64::from(draft.pid.unwrap_or(0))),
        Part::Uuid => of_uuid(draft.uuid.as_ref().map_or(&[], |uuid| uuid), scratch),
        Part::Raw | Part::Framed | Part::Size => of_encoded(draft, selector.part, scratch),
        Part::Fields => Answer::Nil,
    }
}

/// What a draft would be as a message.
fn of_encoded<'a>(draft: &Draft, part: Part, scratch: &'a mut Vec<u8>) -> Answer<'a> {
    let mut batch = crate::message::Batch::new();
    if draft.write(&mut batch).is_err() {
        return Answer::Nil;
    }
    let bytes = if part == Part::Framed { batch.frame(0) } else { batch.message(0).bytes() };
    if part == Part::Size {
        return Answer::Number(bytes.len() as f64);
    }
    scratch.clear();
    scratch.extend_from_slice(bytes);
    Answer::Text(scratch)
}

fn of_uuid<'a>(uuid: &[u8], scratch: &'a mut Vec<u8>) -> Answer<'a> {
    scratch.clear();
    if let Some(text) = uuid_text(uuid) {
        scratch.extend_from_slice(&text);
    }
    Answer::Text(scratch)
}

/// A value as Lua has it: integers are numbers.
pub(super) fn of_value(value: Value<'_>) -> Answer<'_> {
    match value {
        Value::String(bytes) | Value::Bytes(bytes) => Answer::Text(bytes),
        Value::Integer(integer) => Answer::Number(integer as f64),
        Value::Double(number) => Answer::Number(number),
        Value::Bool(truth) => Answer::Bool(truth),
    }
}

/// An index, counted from zero; `None` when it is left out.
pub(super) fn index(call: &Call<'_>, number: usize, what: &str) -> Result<Option<u32>, Complaint> {
    if call.is_absent(number) {
        return Ok(None);
    }
    let index = call.whole(number, what, 0..=i64::MAX)?;
    Ok(Some(u32::try_from(index).unwrap_or(u32::MAX)))
}

/// What complaints call the two indices.
pub(super) const FIELD_INDEX: &str = "field index";
pub(super) const ARRAY_INDEX: &str = "array index";
