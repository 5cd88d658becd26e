//! Messages of numbers, events and service checks.

use crate::formats::statsd::Event;
use crate::formats::statsd::ServiceCheck;
use crate::formats::statsd::Tags;
use crate::message::ArrayBuilder;
use crate::message::Batch;
use crate::message::Builder;
use crate::message::Uuids;
use crate::message::Value;
use crate::plugin::Origin;
use crate::stdx::clock::Clock;
use crate::stdx::clock::System;

/// A message of numbers is ended when it reaches this size, in bytes, or half of the largest.
const FULL: usize = 48 << 10;

/// Writes messages for one StatAccumInput.
pub(super) struct Writer {
    accum: String,
    origin: Origin,
    full: usize,
    clock: System,
    uuids: Uuids,
    columns: Columns,
}

/// A number on its way.
pub(super) struct Number<'a> {
    pub(super) modifier: &'a [u8],
    pub(super) value: f64,
    pub(super) sampling: f64,
    pub(super) member: Option<&'a [u8]>,
}

/// The numbers of one message; what is the same for all is left out.
#[derive(Default)]
struct Columns {
    names: ArrayBuilder,
    values: ArrayBuilder,
    modifiers: ArrayBuilder,
    sampling: ArrayBuilder,
    members: ArrayBuilder,
    /// About how many bytes they take.
    size: usize,
    has_modifiers: bool,
    has_sampling: bool,
    has_members: bool,
}

impl Writer {
    pub(super) fn new(accum: &str, origin: Origin, largest: usize) -> Writer {
        Writer {
            accum: accum.to_owned(),
            origin,
            full: FULL.min(largest / 2),
            clock: System::new(),
            uuids: Uuids::default(),
            columns: Columns::default(),
        }
    }

    /// Adds a number to the message that is being written, and ends the message when it is full.
    pub(super) fn push(&mut self, name: &str, number: &Number<'_>, out: &mut Batch) {
        let columns = &mut self.columns;
        let member = number.member.unwrap_or_default();
        columns.names.push(Value::String(name.as_bytes()));
        columns.values.push(Value::Double(number.value));
        columns.modifiers.push(Value::String(number.modifier));
        columns.sampling.push(Value::Double(number.sampling));
        columns.members.push(Value::String(member));
        columns.has_modifiers |= number.modifier != b"c";
        columns.has_sampling |= number.sampling < 1.0;
        columns.has_members |= number.member.is_some();
        columns.size += name.len() + member.len() + 28;
        if columns.size >= self.full {
            self.put_numbers(out);
        }
    }

    /// Ends the message that is being written, where there is one.
    pub(super) fn put_numbers(&mut self, out: &mut Batch) {
        let columns = std::mem::take(&mut self.columns);
        if columns.size == 0 {
            return;
        }
        let time = self.clock.wall();
        let mut message = self.begin(b"heka.stat", time, b"", None, out);
        message
            .string("stat_accum_name", "", self.accum.as_bytes())
            .array("name", "", &columns.names)
            .array("value", "", &columns.values);
        if columns.has_modifiers {
            message.array("modifier", "", &columns.modifiers);
        }
        if columns.has_sampling {
            message.array("sampling", "", &columns.sampling);
        }
        if columns.has_members {
            message.array("member", "", &columns.members);
        }
        finish(message);
    }

    /// Writes an event.
    pub(super) fn put_event(&mut self, event: &Event<'_>, out: &mut Batch) {
        let severity = match event.alert_type {
            b"error" => 3,
            b"warning" => 4,
            _ => 6,
        };
        let time = event.time.and_then(nanoseconds).unwrap_or_else(|| self.clock.wall());
        let mut message = self.begin(b"statsd.event", time, event.hostname, Some(severity), out);
        message.payload(&unescaped(event.text)).string("title", "", &unescaped(event.title));
        for (name, value) in [
            ("alert_type", event.alert_type),
            ("priority", event.priority),
            ("aggregation_key", event.aggregation_key),
            ("source_type_name", event.source_type_name),
        ] {
            if !value.is_empty() {
                message.string(name, "", value);
            }
        }
        put_tags(event.tags, &mut message);
        finish(message);
    }

    /// Writes a service check.
    pub(super) fn put_service_check(&mut self, check: &ServiceCheck<'_>, out: &mut Batch) {
        let severity = match check.status {
            0 => 6,
            1 => 4,
            2 => 2,
            _ => 5,
        };
        let time = check.time.and_then(nanoseconds).unwrap_or_else(|| self.clock.wall());
        let mut message =
            self.begin(b"statsd.service_check", time, check.hostname, Some(severity), out);
        message.payload(&unescaped(check.text));
        message.string("check", "", check.name).integer("status", "", check.status);
        put_tags(check.tags, &mut message);
        finish(message);
    }

    fn begin<'a>(
        &mut self,
        message_type: &[u8],
        time: i64,
        hostname: &[u8],
        severity: Option<i32>,
        out: &'a mut Batch,
    ) -> Builder<'a> {
        let origin = &self.origin;
        let hostname = if hostname.is_empty() { &*origin.hostname } else { hostname };
        let mut message = out.begin();
        message.uuid(&self.uuids.make()).timestamp(time).message_type(message_type);
        message.logger(&origin.logger).hostname(hostname);
        if let Some(severity) = severity {
            message.severity(severity);
        }
        if let Some(pid) = origin.pid {
            message.pid(pid);
        }
        message
    }
}

fn finish(message: Builder<'_>) {
    if let Err(error) = message.finish() {
        tracing::error!(%error, "a message of statsd is lost");
    }
}

/// Writes a field for each tag.
fn put_tags(tags: Tags<'_>, message: &mut Builder<'_>) {
    for (name, value) in tags.pairs() {
        message.string(&String::from_utf8_lossy(name), "", value);
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
fn nanoseconds(seconds: f64) -> Option<i64> {
    (0.0..9e9).contains(&seconds).then_some((seconds * 1e9) as i64)
}

/// Text with the ends of lines that `\n` stands for.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, b"\\n") {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\n');
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    out
}
