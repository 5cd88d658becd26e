//! `inject_message`, and what becomes of an injected message in each family.

use sha1::Digest;
use sha1::Sha1;

use super::input;
use super::stream_reader::StreamReader;
use crate::message::Batch;
use crate::message::Builder;
use crate::message::Header;
use crate::message::Marks;
use crate::message::Message;
use crate::message::Value as FieldValue;
use crate::sandbox::context::Call;
use crate::sandbox::context::Context;
use crate::sandbox::context::Setting;
use crate::sandbox::context::wall_clock_ns;
use crate::sandbox::message_table;
use crate::sandbox::message_table::Parts;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Value;
use crate::sandbox::spec::EntryTime;
use crate::sandbox::spec::Role;
use crate::sandbox::time;

/// What the Type of a message injected by a filter begins with.
const TYPE_PREFIX: &[u8] = b"heka.sandbox.";

/// The Type of a payload injected by a filter.
const PAYLOAD_TYPE: &[u8] = b"heka.sandbox-output";

/// `inject_message(table or protobuf)`; an input may add a checkpoint.
pub(super) fn inject_message<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    cx.scratch.clear();
    match args.value(1) {
        Value::Table(given) => {
            let limit = cx.setting.limits.output;
            let parts = message_table::read((args, given), &mut cx.scratch, &mut cx.values, limit)?;
            deliver(cx, &parts)?;
        }
        Value::Text(bytes) => {
            let header = Header::locate(bytes)
                .map_err(|error| format!("inject_message() protobuf unmarshal failed: {error}"))?;
            let message = Message::new(bytes, &header);
            for field in message.fields() {
                message_table::put_encoded(&mut cx.scratch, field.encoded());
            }
            deliver(cx, &Parts::of(&message))?;
        }
        Value::Object(object) if cx.setting.role == Role::Input => {
            let Ok(mut object) = object.try_borrow_mut() else { return Err(WRONG_MESSAGE.into()) };
            let reader = object.as_any_mut().downcast_mut::<StreamReader>();
            let bytes = reader.and_then(|reader| reader.message()).ok_or(WRONG_MESSAGE)?;
            let header = Header::locate(bytes).map_err(|error| error.to_string())?;
            let message = Message::new(bytes, &header);
            message.put_fields(&mut cx.scratch);
            deliver(cx, &Parts::of(&message))?;
        }
        Value::Nil if cx.setting.role == Role::Input && !args.is_absent(2) => {}
        _ => return Err("inject_message() takes a table or a protobuf string".into()),
    }
    if cx.setting.role == Role::Input {
        input::note_checkpoint(cx, args)?;
    }
    Ok(Answer::Nothing)
}

const WRONG_MESSAGE: &str =
    "inject_message() takes a table, a protobuf string, or a stream reader that has a message";

/// Sends what `add_to_payload` and `inject_payload` have gathered.
pub(super) fn payload(
    cx: &mut Context,
    payload_type: &[u8],
    payload_name: &[u8],
) -> Result<(), Complaint> {
    match cx.setting.role {
        Role::Encoder => {
            let call = &mut cx.call;
            std::mem::swap(&mut call.output, &mut call.payload);
            call.payload.clear();
            call.has_output = true;
            Ok(())
        }
        Role::Decoder => decoder_payload(cx, payload_type, payload_name),
        _ => {
            cx.scratch.clear();
            for (name, representation, value) in [
                (&b"payload_type"[..], &b"file-extension"[..], payload_type),
                (b"payload_name", b"", payload_name),
            ] {
                cx.values.clear();
                cx.values.push(FieldValue::String(value));
                cx.values.put_field(&mut cx.scratch, name, representation);
            }
            let text = std::mem::take(&mut cx.call.payload);
            let parts = Parts {
                message_type: Some(PAYLOAD_TYPE),
                payload: Some(&text),
                severity: Some(7),
                pid: Some(cx.setting.pid),
                ..Parts::default()
            };
            let result = append(cx, &parts, b"");
            // The buffer is used again.
            cx.call.payload = text;
            cx.call.payload.clear();
            result
        }
    }
}

/// Sends a message to where messages of this family go; its fields are in the scratch.
fn deliver(cx: &mut Context, parts: &Parts<'_>) -> Result<(), Complaint> {
    match cx.setting.role {
        Role::Encoder => {
            let mut batch = Batch::new();
            let mut out = batch.begin();
            let uuid = parts.uuid.unwrap_or_else(|| cx.uuids.make());
            let now = wall_clock_ns();
            parts.write(&mut out, uuid, parts.timestamp.unwrap_or(now), b"");
            out.encoded_fields(&cx.scratch);
            end(out, cx.setting.limits.output)?;
            let bytes = batch.message(0).bytes();
            cx.usage.max_output = cx.usage.max_output.max(bytes.len());
            cx.call.output.clear();
            cx.call.output.extend_from_slice(bytes);
            cx.call.has_output = true;
            Ok(())
        }
        Role::Decoder => decoder_message(cx, parts),
        Role::Input => input::message(cx, parts),
        _ => append(cx, parts, TYPE_PREFIX),
    }
}

/// Appends a message of a filter to the batch of injections.
fn append(cx: &mut Context, parts: &Parts<'_>, prefix: &[u8]) -> Result<(), Complaint> {
    admit(&cx.call, &cx.setting)?;
    let Context { loan, setting, call, now, scratch, usage, .. } = cx;
    let Some(out) = loan.out() else {
        return Err("nothing can be injected while the script is loaded".into());
    };
    let at = out.len();
    let mut builder = out.begin();
    let uuid = parts.uuid.unwrap_or_else(|| derived_id(setting, call, *now));
    let own = Parts {
        logger: Some(setting.name.as_bytes()),
        hostname: Some(setting.hostname.as_bytes()),
        ..*parts
    };
    own.write(&mut builder, uuid, parts.timestamp.unwrap_or(now.ns), prefix);
    builder.encoded_fields(scratch);
    builder.marks(Marks { signer: 0, loops: call.loops.saturating_add(1) });
    let length = end(builder, setting.limits.output)?;
    if let Some(own_matcher) = &setting.own_matcher.0
        && own_matcher(&out.message(at))
    {
        out.truncate(at);
        return Err(
            "injecting the message would be a circular reference: it matches this plugin's \
             message_matcher"
                .into(),
        );
    }
    usage.max_output = usage.max_output.max(length);
    call.injected += 1;
    usage.injected += 1;
    Ok(())
}

/// Ends a message; refuses one that is too large.
pub(super) fn end(builder: Builder<'_>, limit: usize) -> Result<usize, Complaint> {
    let length = builder.len();
    if length > limit {
        return Err("output_limit exceeded".into());
    }
    builder.finish().map_err(|error| error.to_string())?;
    Ok(length)
}

/// Holds the call to the number of messages it may inject.
fn admit(call: &Call, setting: &Setting) -> Result<(), Complaint> {
    if call.injected >= call.max_inject {
        return Err(format!("exceeded InjectMessage count: {} a call", call.max_inject).into());
    }
    if call.loops >= setting.limits.max_message_loops {
        let limit = setting.limits.max_message_loops;
        return Err(format!("exceeded MaxMsgLoops = {limit}").into());
    }
    Ok(())
}

/// The id of a message that names none: the same whenever the filter reads the same message again.
///
/// It is a UUID made of a name (version 5), the name being where the message comes from.
fn derived_id(setting: &Setting, call: &Call, now: EntryTime) -> [u8; 16] {
    let mut hash = Sha1::new();
    hash.update(setting.name.as_bytes());
    hash.update([0]);
    hash.update(now.position.to_le_bytes());
    hash.update(call.message.to_le_bytes());
    hash.update(call.injected.to_le_bytes());
    let digest = hash.finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id[6] = id[6] & 0x0f | 0x50;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

/// The first message a decoder makes replaces the one it was given, in all but what it leaves out;
/// every further one is a message of its own.
fn decoder_message(cx: &mut Context, parts: &Parts<'_>) -> Result<(), Complaint> {
    let Context { loan, setting, call, scratch, uuids, usage, .. } = cx;
    let mut batch = Batch::new();
    let Some(draft) = loan.draft() else { return Err(NO_RECORD.into()) };
    let given = Parts::of_draft(draft);
    let uuid = match (parts.uuid, given.uuid) {
        (Some(uuid), _) => uuid,
        (None, Some(uuid)) if !call.has_replaced => uuid,
        _ => uuids.make(),
    };
    let written = parts.timestamp.map(|ns| time::shift(setting.zone, ns));
    let timestamp = written.or(given.timestamp).unwrap_or_else(wall_clock_ns);
    let mut builder = batch.begin();
    parts.or(&given).write(&mut builder, uuid, timestamp, b"");
    builder.encoded_fields(scratch).marks(draft.marks);
    usage.max_output = usage.max_output.max(end(builder, setting.limits.output)?);
    let marks = draft.marks;
    if call.has_replaced {
        let Some(out) = loan.out() else { return Err(NO_RECORD.into()) };
        if call.injected >= MAX_DECODED {
            return Err(format!("exceeded {MAX_DECODED} messages of one record").into());
        }
        let message = batch.message(0);
        out.push_located(message.bytes(), *message.header(), marks)
            .map_err(|error| error.to_string())?;
        call.injected += 1;
    } else if let Some(draft) = loan.draft_mut() {
        draft.copy_from(&batch.message(0));
        draft.marks = marks;
        call.has_replaced = true;
    }
    usage.injected += 1;
    Ok(())
}

fn decoder_payload(
    cx: &mut Context,
    payload_type: &[u8],
    payload_name: &[u8],
) -> Result<(), Complaint> {
    let Context { loan, call, uuids, usage, .. } = cx;
    let is_further = call.has_replaced;
    let Some(draft) = loan.draft_mut() else { return Err(NO_RECORD.into()) };
    let mut copy = is_further.then(|| draft.clone());
    let target = copy.as_mut().unwrap_or(draft);
    let payload = target.payload.get_or_insert_default();
    payload.clear();
    payload.append(&mut call.payload);
    target.set(b"payload_type", b"file-extension", FieldValue::String(payload_type));
    target.set(b"payload_name", b"", FieldValue::String(payload_name));
    call.has_replaced = true;
    usage.injected += 1;
    if let Some(mut further) = copy {
        if call.injected >= MAX_DECODED {
            return Err(format!("exceeded {MAX_DECODED} messages of one record").into());
        }
        further.uuid = Some(uuids.make());
        let Some(out) = loan.out() else { return Err(NO_RECORD.into()) };
        further.write(out).map_err(|error| error.to_string())?;
        call.injected += 1;
    }
    Ok(())
}

const NO_RECORD: &str = "nothing can be injected while the script is loaded";

/// At most so many messages are made of one record.
const MAX_DECODED: u32 = 10_000;
