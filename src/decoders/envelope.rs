//! The header of a message that a decoder writes from start to end.

use crate::message::Batch;
use crate::message::Builder;
use crate::plugin::Record;

/// Begins a message with what is known of the record besides its bytes: a name, `timestamp` or when
/// it was read, and what the input says. `message_type` goes before the type of the input.
pub(super) fn begin<'a>(
    record: &Record<'_>,
    timestamp: Option<i64>,
    message_type: Option<&str>,
    out: &'a mut Batch,
) -> Builder<'a> {
    let origin = record.origin;
    let mut builder = out.begin();
    builder.uuid(&record.uuid).timestamp(timestamp.unwrap_or(record.now));
    builder.message_type(message_type.map_or(&origin.message_type[..], str::as_bytes));
    builder.logger(&origin.logger);
    if let Some(severity) = origin.severity {
        builder.severity(severity);
    }
    if !origin.env_version.is_empty() {
        builder.env_version(&origin.env_version);
    }
    if let Some(pid) = origin.pid {
        builder.pid(pid);
    }
    if !origin.hostname.is_empty() {
        builder.hostname(&origin.hostname);
    }
    builder.marks(record.marks);
    builder
}

/// The bytes without the end of the line they close with.
pub(super) fn without_line_end(bytes: &[u8]) -> &[u8] {
    let Some(line) = bytes.strip_suffix(b"\n") else { return bytes };
    line.strip_suffix(b"\r").unwrap_or(line)
}
