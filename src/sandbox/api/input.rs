//! What inputs inject, how far they have got, and whether to go on.

use super::inject;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::context::wall_clock_ns;
use crate::sandbox::feed::Checkpoint;
use crate::sandbox::message_table::Parts;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Value;

const STOPPING: &str = "inject_message() failed: the engine is stopping";

/// Appends a message of an input to those that are to be handed over; its fields are in the scratch.
pub(super) fn message(cx: &mut Context, parts: &Parts<'_>) -> Result<(), Complaint> {
    let own = parts.in_name_of(&cx.setting);
    let uuid = parts.uuid.unwrap_or_else(|| cx.uuids.make());
    let mut builder = cx.pending.batch.begin();
    own.write(&mut builder, uuid, parts.timestamp.unwrap_or_else(wall_clock_ns), b"");
    builder.encoded_fields(&cx.scratch);
    let length = inject::end(builder, cx.setting.limits.output)?;
    cx.usage.max_output = cx.usage.max_output.max(length);
    cx.usage.injected += 1;
    Ok(())
}

/// Notes the checkpoint behind a message, and hands over what is due.
pub(super) fn note_checkpoint(cx: &mut Context, args: Args<'_>) -> Result<(), Complaint> {
    let call = Call::function("inject_message", args);
    match call.value(2) {
        Value::Nil => {}
        Value::Number(number) => cx.pending.checkpoint = Some(Checkpoint::Number(number)),
        Value::Text(text) if text.len() <= Checkpoint::MAX_TEXT => {
            cx.pending.checkpoint = Some(Checkpoint::Text(text.to_vec()));
        }
        Value::Text(_) => return Err(call.refused(2, "checkpoint", "longer than 8 KiB")),
        _ => return Err(call.wrong(2, "number or string")),
    }
    if cx.hand_over_if_due() { Ok(()) } else { Err(STOPPING.into()) }
}

/// `is_running()` → false when the script is asked to end.
pub(super) fn is_running<'a>(cx: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let takes_more = cx.hand_over();
    Ok(Answer::Bool(takes_more && cx.is_running()))
}
