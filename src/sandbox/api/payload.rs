//! `add_to_payload` and `inject_payload`: text, gathered and sent.

use super::inject;
use super::read_message;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Value;
use crate::stdx::decimal;

/// `add_to_payload(...)` appends its arguments to the payload of this call.
pub(super) fn add_to_payload<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    append(cx, args, 1, "add_to_payload()")?;
    Ok(Answer::Nothing)
}

/// `inject_payload([type[, name[, ...]]])` appends the rest of its arguments and sends the payload.
pub(super) fn inject_payload<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("inject_payload", args);
    let payload_type = call.optional_text(1, b"txt")?;
    let payload_name = call.optional_text(2, b"")?;
    append(cx, args, 3, "inject_payload()")?;
    inject::payload(cx, payload_type, payload_name)?;
    Ok(Answer::Nothing)
}

/// Appends arguments from number `first` on to the payload of the call.
fn append(cx: &mut Context, args: Args<'_>, first: usize, name: &str) -> Result<(), Complaint> {
    let mut payload = std::mem::take(&mut cx.call.payload);
    let result = gather(cx, args, (first, name), &mut payload);
    cx.usage.max_output = cx.usage.max_output.max(payload.len());
    cx.call.payload = payload;
    result
}

/// Appends arguments from number `first` on to `out`, for the function `name`.
fn gather(
    cx: &mut Context,
    args: Args<'_>,
    (first, name): (usize, &str),
    out: &mut Vec<u8>,
) -> Result<(), Complaint> {
    let limit = cx.setting.limits.output;
    for index in first..=args.len() {
        match args.value(index) {
            Value::Nil => out.extend_from_slice(b"nil"),
            Value::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
            Value::Number(value) => decimal::write(out, value),
            Value::Integer(value) => {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            Value::Text(text) => {
                if text.len() > limit {
                    return Err("output_limit exceeded".into());
                }
                out.extend_from_slice(text);
            }
            Value::Object(object)
                if object.try_borrow_mut().is_ok_and(|mut object| object.print(out)) => {}
            other if read_message::put(cx, other, out) => {}
            other => {
                let kind = other.kind().name();
                return Err(format!("{name} unsupported type: {kind}").into());
            }
        }
        if out.len() > limit {
            return Err("output_limit exceeded".into());
        }
    }
    Ok(())
}
