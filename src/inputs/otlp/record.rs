//! The messages of a request.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::attributes;
use crate::message::Batch;
use crate::message::Builder;
use crate::message::Uuids;
use crate::plugin::InputContext;
use crate::stdx::clock::Clock;
use crate::stdx::clock::System;

/// Takes messages; those that are too large are counted.
pub(super) struct Records {
    batches: Vec<Batch>,
    batch: Batch,
    uuids: Uuids,
    now: i64,
    max_size: usize,
    input: Vec<u8>,
    hostname: Vec<u8>,
    refused: i64,
    why: String,
}

/// What a record comes from.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    resource: &'a [KeyValue],
    scope: Option<&'a InstrumentationScope>,
}

impl<'a> From<'a> {
    pub(super) fn new(
        resource: Option<&'a Resource>,
        scope: Option<&'a InstrumentationScope>,
    ) -> From<'a> {
        From { resource: resource.map_or(&[], |it| it.attributes.as_slice()), scope }
    }

    fn resource_text(&self, name: &str) -> Option<&'a str> {
        match attributes::find(self.resource, name) {
            Some(Any::StringValue(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

impl Records {
    pub(super) fn new(cx: &InputContext) -> Records {
        Records::of(&cx.name, &cx.engine.hostname, cx.engine.max_message_size)
    }

    /// Takes messages of the input `name` at the machine `hostname`, at most so large each.
    pub(super) fn of(name: &str, hostname: &str, max_size: usize) -> Records {
        Records {
            batches: Vec::new(),
            batch: Batch::new(),
            uuids: Uuids::default(),
            now: System::new().wall(),
            max_size,
            input: name.as_bytes().to_vec(),
            hostname: hostname.as_bytes().to_vec(),
            refused: 0,
            why: String::new(),
        }
    }

    /// Writes a message: its type, when it was, in nanoseconds since the epoch or 0 where that is not
    /// said, its severity, and where it comes from; `put` writes payload and fields.
    ///
    /// The logger is the service of the resource, or the name of the section.
    pub(super) fn add(
        &mut self,
        (kind, time, severity): (&str, u64, i32),
        from: From<'_>,
        put: impl FnOnce(&mut Builder<'_>),
    ) {
        if self.batch.is_full() {
            self.batches.push(std::mem::take(&mut self.batch));
        }
        let time = i64::try_from(time).ok().filter(|time| *time > 0).unwrap_or(self.now);
        let logger = from.resource_text("service.name").map_or(&*self.input, str::as_bytes);
        let hostname = from.resource_text("host.name").map_or(&*self.hostname, str::as_bytes);
        let mut message = self.batch.begin();
        message.uuid(&self.uuids.make()).timestamp(time).message_type(kind.as_bytes());
        message.logger(logger).severity(severity).hostname(hostname);
        if let Some(Any::IntValue(pid)) = attributes::find(from.resource, "process.pid")
            && let Ok(pid) = i32::try_from(*pid)
        {
            message.pid(pid);
        }
        put(&mut message);
        if let Some(scope) = from.scope {
            for (name, text) in [("scope.name", &scope.name), ("scope.version", &scope.version)] {
                if !text.is_empty() {
                    message.string(name, "", text.as_bytes());
                }
            }
            attributes::put(&scope.attributes, "scope.", &mut message);
        }
        attributes::put(from.resource, "resource.", &mut message);
        let size = message.len();
        if size > self.max_size {
            let max_size = self.max_size;
            self.why =
                format!("a record of {size} bytes is larger than `max_message_size`, {max_size}");
        } else if let Err(error) = message.finish() {
            self.why = error.to_string();
        } else {
            return;
        }
        self.refused += 1;
    }

    /// What was written.
    pub(super) fn take(&mut self) -> Vec<Batch> {
        self.batches.push(std::mem::take(&mut self.batch));
        let mut batches = std::mem::take(&mut self.batches);
        batches.retain(|batch| !batch.is_empty());
        batches
    }

    /// How many records were refused, and why the last of them.
    pub(super) fn refused(&self) -> Option<(i64, &str)> {
        (self.refused > 0).then_some((self.refused, self.why.as_str()))
    }
}
