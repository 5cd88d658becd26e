//! `decode_message` and `read_next_field`: messages and fields as Lua values.

use crate::message::Field;
use crate::message::Header;
use crate::message::Message;
use crate::message::Value as FieldValue;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Tape;

/// `decode_message(protobuf)` → table; `Fields` is a list, and every `value` too.
pub(super) fn decode_message<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let bytes = Call::function("decode_message", args).text(1)?;
    let header =
        Header::locate(bytes).map_err(|error| format!("decode_message() failed: {error}"))?;
    let message = Message::new(bytes, &header);
    let tape = &mut cx.tape;
    tape.clear();
    tape.table(0, 10);
    for (name, is_there, text) in [
        (&b"Uuid"[..], message.has_uuid(), message.uuid()),
        (b"Type", message.has_message_type(), message.message_type()),
        (b"Logger", message.has_logger(), message.logger()),
        (b"Payload", message.has_payload(), message.payload()),
        (b"EnvVersion", message.has_env_version(), message.env_version()),
        (b"Hostname", message.has_hostname(), message.hostname()),
    ] {
        if is_there {
            tape.text(name);
            tape.text(text);
            tape.pair();
        }
    }
    for (name, is_there, number) in [
        (&b"Timestamp"[..], message.has_timestamp(), message.timestamp() as f64),
        (b"Severity", message.has_severity(), f64::from(message.severity())),
        (b"Pid", message.has_pid(), f64::from(message.pid())),
    ] {
        if is_there {
            tape.text(name);
            tape.number(number);
            tape.pair();
        }
    }
    if message.fields().next().is_some() {
        tape.text(b"Fields");
        tape.table(4, 0);
        for (index, field) in message.fields().enumerate() {
            write_field(tape, &field);
            tape.item(index + 1);
        }
        tape.pair();
    }
    Ok(Answer::Tape(1))
}

fn write_field(tape: &mut Tape, field: &Field<'_>) {
    tape.table(0, 4);
    tape.text(b"name");
    tape.text(field.name());
    tape.pair();
    tape.text(b"value_type");
    tape.number(f64::from(field.value_type().number()));
    tape.pair();
    if !field.representation().is_empty() {
        tape.text(b"representation");
        tape.text(field.representation());
        tape.pair();
    }
    tape.text(b"value");
    tape.table(1, 0);
    for (index, value) in field.values().enumerate() {
        write_value(tape, value);
        tape.item(index + 1);
    }
    tape.pair();
}

fn write_value(tape: &mut Tape, value: FieldValue<'_>) {
    match value {
        FieldValue::String(bytes) | FieldValue::Bytes(bytes) => tape.text(bytes),
        FieldValue::Integer(integer) => tape.number(integer as f64),
        FieldValue::Double(number) => tape.number(number),
        FieldValue::Bool(truth) => tape.bool(truth),
    }
}

/// `read_next_field()` → value type, name, first value, representation, number of values; nil at
/// the end.
pub(super) fn read_next_field<'a>(
    cx: &'a mut Context,
    _: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let Context { loan, call, tape, .. } = cx;
    let at = call.fields_read;
    let changed = if call.has_copy { Some(&call.copy) } else { loan.draft() };
    let field = match changed {
        Some(draft) => draft.fields().nth(at),
        None => loan.message().and_then(|message| message.fields().nth(at)),
    };
    let Some(field) = field else { return Ok(Answer::Nil) };
    call.fields_read += 1;
    tape.clear();
    tape.number(f64::from(field.value_type().number()));
    tape.text(field.name());
    match field.value(0) {
        Some(value) => write_value(tape, value),
        None => tape.nil(),
    }
    tape.text(field.representation());
    tape.number(field.values().count() as f64);
    Ok(Answer::Tape(5))
}
