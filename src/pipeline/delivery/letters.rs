//! What the far side of an output has refused, as messages that a matcher can select.
//!
//! | field | content |
//! | --- | --- |
//! | Type | `heka.dead-letter` |
//! | Logger | the name of the output |
//! | Payload | the record as it was sent, cut off where it is too long for a message |
//! | `reason` | what the output said |
//! | `entry` | the entry of the journal up to which the load went that it was in |
//! | `bytes` | the length of the record |
//!
//! They are durable before the cursor moves over the record. An output never gets its own, and one
//! that is refused again brings forth no other, so that they end.

use crate::journal::Journal;
use crate::journal::Position;
use crate::message::Batch;
use crate::message::Source;
use crate::message::SourcePosition;
use crate::message::Uuids;
use crate::plugin::OutputContext;

/// The type of these messages.
const TYPE: &[u8] = b"heka.dead-letter";
/// What the source of these messages is called, before the name of the output.
const SOURCE: &str = "dead letters of ";
/// How much of a message is left for what is not the payload, in bytes.
const OTHER: usize = 4096;

/// Whose dead letters are in `batch`, if they are any.
pub(super) fn of(batch: &Batch) -> Option<&str> {
    batch.reached().iter().find_map(|(source, _)| source.strip_prefix(SOURCE))
}

/// Appends the dead letter of a record that was refused and tells where; what fails is logged.
pub(super) fn append(
    journal: &Journal,
    output: &OutputContext,
    record: &[u8],
    reason: &str,
    entry: u64,
) -> Option<Position> {
    let name = &*output.name;
    let most = output.engine.max_message_size.saturating_sub(OTHER);
    let payload = &record[..record.len().min(most)];
    let reason: String = reason.chars().take(OTHER / 8).collect();
    let now = chrono::Utc::now().timestamp_nanos_opt().unwrap_or_default();
    let mut batch = Batch::new();
    let mut message = batch.begin();
    message.uuid(&Uuids::default().make()).timestamp(now).message_type(TYPE);
    message.logger(name.as_bytes()).severity(4).payload(payload).pid(output.engine.pid);
    message.hostname(output.engine.hostname.as_bytes());
    message.string("reason", "", reason.as_bytes());
    message.integer("entry", "", i64::try_from(entry).unwrap_or(i64::MAX));
    message.integer("bytes", "B", i64::try_from(record.len()).unwrap_or(i64::MAX));
    if let Err(error) = message.finish() {
        tracing::error!(output = name, %error, "cannot make a dead letter");
        return None;
    }
    batch.reach(&Source::from(format!("{SOURCE}{name}").as_str()), SourcePosition::at(entry));
    let appended = journal.append_injected(batch);
    appended
        .map_err(|(error, _)| tracing::error!(output = name, %error, "a dead letter is lost"))
        .ok()
}
