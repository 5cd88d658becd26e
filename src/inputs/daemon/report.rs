//! The messages of one round, and rates since the round before.

use std::time::Instant;

use hashbrown::HashMap;

use crate::message::Batch;
use crate::message::Builder;
use crate::message::Marks;
use crate::message::Uuids;
use crate::plugin::Form;
use crate::plugin::Origin;
use crate::plugin::Record;
use crate::stdx::clock::Clock;
use crate::stdx::clock::System;

/// What is written of a daemon in one round.
pub(in crate::inputs) struct Report {
    origin: Origin,
    uuids: Uuids,
    clock: System,
    time: i64,
    full: Vec<Batch>,
    batch: Batch,
    /// When the round before began, if it was whole.
    last: Option<Instant>,
    began: Instant,
    /// Seconds since the round before.
    elapsed: Option<f64>,
    /// What was counted in the round before, and in this one.
    before: HashMap<String, f64>,
    counted: HashMap<String, f64>,
}

impl Report {
    /// Messages with the hostname, logger and pid of `origin`.
    pub(in crate::inputs) fn new(origin: Origin) -> Report {
        Report {
            origin,
            uuids: Uuids::default(),
            clock: System::new(),
            time: 0,
            full: Vec::new(),
            batch: Batch::new(),
            last: None,
            began: Instant::now(),
            elapsed: None,
            before: HashMap::new(),
            counted: HashMap::new(),
        }
    }

    /// Begins a round.
    pub(in crate::inputs) fn start(&mut self) {
        self.began = Instant::now();
        self.time = self.clock.wall();
        let elapsed = self.last.map(|last| (self.began - last).as_secs_f64());
        self.elapsed = elapsed.filter(|elapsed| *elapsed > 0.0);
        self.counted.clear();
    }

    /// As if `elapsed` seconds had gone by since the round before.
    #[cfg(test)]
    pub(in crate::inputs) fn start_after(&mut self, elapsed: f64) {
        self.start();
        self.elapsed = self.last.map(|_| elapsed);
    }

    /// Gives what was written, and keeps what was counted for the next round.
    pub(in crate::inputs) fn take(&mut self) -> Vec<Batch> {
        if !self.batch.is_empty() {
            self.full.push(std::mem::take(&mut self.batch));
        }
        if !self.counted.is_empty() {
            std::mem::swap(&mut self.before, &mut self.counted);
            self.last = Some(self.began);
        }
        std::mem::take(&mut self.full)
    }

    /// Leaves out what was written, and all that was counted: it may have begun anew.
    pub(super) fn forget(&mut self) {
        self.full.clear();
        self.batch = Batch::new();
        self.before.clear();
        self.counted.clear();
        self.last = None;
    }

    /// When the round began, in nanoseconds since the epoch.
    pub(in crate::inputs) fn time(&self) -> i64 {
        self.time
    }

    /// Begins a message of the type `message_type`.
    pub(in crate::inputs) fn begin(&mut self, message_type: &str) -> Builder<'_> {
        self.begin_as(message_type, 7)
    }

    /// As [`Report::begin`], with a severity.
    pub(in crate::inputs) fn begin_as(&mut self, message_type: &str, severity: i32) -> Builder<'_> {
        if self.batch.is_full() {
            self.full.push(std::mem::take(&mut self.batch));
        }
        let mut message = self.batch.begin();
        message.uuid(&self.uuids.make()).timestamp(self.time);
        message.message_type(message_type.as_bytes()).logger(&self.origin.logger);
        message.severity(severity).hostname(&self.origin.hostname);
        if let Some(pid) = self.origin.pid {
            message.pid(pid);
        }
        message
    }

    /// A message that is not part of the report: `payload` under the header of `origin`.
    ///
    /// # Errors
    /// When it is too large.
    pub(in crate::inputs) fn record(
        &mut self,
        origin: &Origin,
        payload: &[u8],
    ) -> Result<Batch, crate::message::Error> {
        let record = Record {
            bytes: payload,
            form: Form::Payload,
            origin,
            now: self.time,
            uuid: self.uuids.make(),
            marks: Marks::default(),
        };
        let mut batch = Batch::new();
        record.write(&mut batch)?;
        Ok(batch)
    }

    /// Ends a message.
    pub(in crate::inputs) fn finish(message: Builder<'_>) {
        if let Err(error) = message.finish() {
            tracing::error!(%error, "a message of a daemon is lost");
        }
    }

    /// How much a count has grown in a second, where it was known in the round before and has not begun
    /// anew since. `key` names it among all that are counted in a round.
    pub(in crate::inputs) fn rate(&mut self, key: &str, count: f64) -> Option<f64> {
        let before = self.before.get(key).copied();
        self.counted.insert(key.to_owned(), count);
        let (before, elapsed) = (before?, self.elapsed?);
        (count >= before).then(|| (count - before) / elapsed)
    }
}

/// Writes a number that is told as text: whole ones as integers, others as doubles, what is no number
/// as the text it is.
pub(in crate::inputs) fn number(message: &mut Builder<'_>, name: &str, unit: &str, text: &str) {
    if let Ok(whole) = text.parse::<i64>() {
        message.integer(name, unit, whole);
    } else if let Some(double) = text.parse::<f64>().ok().filter(|double| double.is_finite()) {
        message.double(name, unit, double);
    } else {
        message.string(name, "", text.as_bytes());
    }
}
