//! What outputs have of their own: messages made anew, and word of what was sent.

use crate::message::Batch;
use crate::message::frame;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::context::wall_clock_ns;
use crate::sandbox::message_table;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Value;

/// The most messages of which one call may say that they are done.
const MAX_SETTLED: usize = 100_000;

/// `encode_message(table[, framed])` → the protobuf bytes; what is missing of Timestamp, Logger,
/// Hostname and Pid is filled in.
pub(super) fn encode_message<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("encode_message", args);
    let Value::Table(given) = call.value(1) else { return Err(call.wrong(1, "table")) };
    let limit = cx.setting.limits.output;
    cx.scratch.clear();
    let parts = message_table::read((args, given), &mut cx.scratch, &mut cx.values, limit)?;
    let own = parts.in_name_of(&cx.setting);
    let uuid = parts.uuid.unwrap_or_else(|| cx.uuids.make());
    let mut batch = Batch::new();
    let mut builder = batch.begin();
    own.write(&mut builder, uuid, parts.timestamp.unwrap_or_else(wall_clock_ns), b"");
    builder.encoded_fields(&cx.scratch);
    let length = super::inject::end(builder, limit)?;
    cx.usage.max_output = cx.usage.max_output.max(length);
    cx.scratch.clear();
    if args.truth(2) {
        frame::put(&mut cx.scratch, batch.message(0).bytes());
    } else {
        cx.scratch.extend_from_slice(batch.message(0).bytes());
    }
    Ok(Answer::Text(&cx.scratch))
}

/// `update_checkpoint()`: all messages so far are done; `update_checkpoint(sequence[, failures])`:
/// that one is.
pub(super) fn update_checkpoint<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("update_checkpoint", args);
    let failures = call.optional_whole(2, "failures", 0..=1 << 53, 0)?.cast_unsigned();
    if call.is_absent(1) {
        cx.settled.all = true;
    } else {
        let sequence = call.whole(1, "sequence_id", 0..=1 << 53)?.cast_unsigned();
        if cx.settled.sequences.len() >= MAX_SETTLED {
            return Err(format!("update_checkpoint() more than {MAX_SETTLED} in one call").into());
        }
        cx.settled.sequences.push(sequence);
    }
    cx.settled.failures = cx.settled.failures.saturating_add(failures);
    Ok(Answer::Nothing)
}
