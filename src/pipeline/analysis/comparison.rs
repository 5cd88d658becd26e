//! What two versions of a filter make of the same messages, compared by content.
//!
//! A message is the same when type, payload, severity, version and fields are; when it was made, by
//! what id and in what order does not count. One that the other version makes within [`GRACE`] of
//! journal time is the same too: a version may be some ticks later. What waits for its twin is
//! bounded, and so are the samples that are kept of what only one has made.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::hash::Hasher;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::Deserialize;
use serde::Serialize;

use crate::message::Batch;
use crate::message::Message;
use crate::message::Value;

/// Nanoseconds of journal time for which a message waits for its twin.
const GRACE: i64 = 10_000_000_000;
/// As many messages wait at most; the oldest is given up then.
const MAX_WAITING: usize = 4096;
/// Samples of what only one version has made, of each.
const MAX_SAMPLES: usize = 20;
/// Bytes of a payload in a sample.
const MAX_TEXT: usize = 200;

/// The version that made a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum Side {
    /// The one that runs.
    Live,
    /// The one that is tried.
    Shadow,
}

/// What only one of the versions has made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Only {
    /// Messages, alerts included.
    pub messages: u64,
    /// Alerts.
    pub alerts: u64,
    /// The last of them: type and the beginning of the payload.
    pub samples: Vec<String>,
}

/// What a version has cost and done since the comparison began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// Bytes of memory in use.
    pub memory_bytes: u64,
    /// Messages injected.
    pub injected: u64,
    /// Messages set aside.
    pub failed: u64,
}

/// The difference so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Messages that both have made.
    pub same: u64,
    /// What the running version alone has made.
    pub only_live: Only,
    /// What the tried version alone has made.
    pub only_shadow: Only,
    /// What the running version has cost.
    pub live: Cost,
    /// What the tried version has cost.
    pub shadow: Cost,
    /// Why the tried version has ended by itself, if it has.
    pub ended: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Comparison {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// In the order they came.
    waiting: BTreeMap<u64, Made>,
    /// The numbers of those with this content, all of one side.
    by_content: HashMap<u64, VecDeque<u64>>,
    next: u64,
    /// Entry and time each side has reached.
    reached: [(u64, i64); 2],
    difference: Difference,
}

#[derive(Debug)]
struct Made {
    side: Side,
    content: u64,
    entry: u64,
    time: i64,
    is_alert: bool,
    text: String,
}

impl Comparison {
    /// Takes down what `side` has made at an entry.
    pub(super) fn made(&self, side: Side, entry: u64, time: i64, out: &Batch, from: usize) {
        let mut inner = self.lock();
        for index in from..out.len() {
            inner.add(side, entry, time, &out.message(index));
        }
    }

    /// `side` is done with all entries up to this one.
    pub(super) fn reached(&self, side: Side, entry: u64, time: i64) {
        let mut inner = self.lock();
        let reached = &mut inner.reached[side as usize];
        *reached = (reached.0.max(entry), reached.1.max(time));
        inner.settle();
    }

    /// The shadow has cost this.
    pub(super) fn cost(&self, cost: Cost) {
        let mut inner = self.lock();
        let injected = inner.difference.shadow.injected;
        inner.difference.shadow = Cost { injected, ..cost };
    }

    /// The shadow has ended by itself.
    pub(super) fn end(&self, reason: String) {
        self.lock().difference.ended = Some(reason);
    }

    /// The difference so far; what both sides have passed and only one has made counts.
    pub(in crate::pipeline) fn difference(&self) -> Difference {
        let mut inner = self.lock();
        inner.settle();
        let mut difference = inner.difference.clone();
        let passed = inner.reached[0].0.min(inner.reached[1].0);
        for made in inner.waiting.values().filter(|made| made.entry <= passed) {
            difference.count(made);
        }
        difference
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, side: Side, entry: u64, time: i64, message: &Message<'_>) {
        match side {
            Side::Live => self.difference.live.injected += 1,
            Side::Shadow => self.difference.shadow.injected += 1,
        }
        let content = content_of(message);
        let twins = self.by_content.get_mut(&content);
        if let Some(twins) = twins
            && let Some(twin) = twins.front().copied()
            && self.waiting.get(&twin).is_some_and(|made| made.side != side)
        {
            twins.pop_front();
            if twins.is_empty() {
                self.by_content.remove(&content);
            }
            self.waiting.remove(&twin);
            self.difference.same += 1;
            return;
        }
        let is_alert = message.value(b"payload_type", 0, 0) == Some(Value::String(b"alert"));
        let made = Made { side, content, entry, time, is_alert, text: text_of(message) };
        self.by_content.entry(content).or_default().push_back(self.next);
        self.waiting.insert(self.next, made);
        self.next += 1;
        if self.waiting.len() > MAX_WAITING {
            self.give_up_oldest();
        }
    }

    /// What has waited long enough is the work of one side.
    fn settle(&mut self) {
        let passed = self.reached[0].1.min(self.reached[1].1);
        while self
            .waiting
            .first_key_value()
            .is_some_and(|(_, made)| made.time.saturating_add(GRACE) < passed)
        {
            self.give_up_oldest();
        }
    }

    fn give_up_oldest(&mut self) {
        let Some((number, made)) = self.waiting.pop_first() else { return };
        if let Some(twins) = self.by_content.get_mut(&made.content) {
            twins.retain(|twin| *twin != number);
            if twins.is_empty() {
                self.by_content.remove(&made.content);
            }
        }
        self.difference.count(&made);
    }
}

impl Difference {
    fn count(&mut self, made: &Made) {
        let only = match made.side {
            Side::Live => &mut self.only_live,
            Side::Shadow => &mut self.only_shadow,
        };
        only.messages += 1;
        only.alerts += u64::from(made.is_alert);
        only.samples.push(made.text.clone());
        let first = only.samples.len().saturating_sub(MAX_SAMPLES);
        only.samples.drain(..first);
    }

    /// Tells whether it is the same difference, whatever it has cost.
    #[must_use]
    pub fn says_the_same(&self, other: &Difference) -> bool {
        let numbers = |it: &Difference| {
            let only = |only: &Only| (only.messages, only.alerts);
            (only(&it.only_live), only(&it.only_shadow), it.ended.clone(), it.shadow.failed)
        };
        numbers(self) == numbers(other)
    }

    /// Tells whether the versions have made the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.only_live.messages == 0 && self.only_shadow.messages == 0 && self.ended.is_none()
    }
}

fn content_of(message: &Message<'_>) -> u64 {
    let mut hasher = FixedState::with_seed(3).build_hasher();
    for part in [message.message_type(), message.payload(), message.env_version()] {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.write_i32(message.severity());
    let mut fields = Vec::new();
    message.put_fields(&mut fields);
    hasher.write(&fields);
    hasher.finish()
}

fn text_of(message: &Message<'_>) -> String {
    let payload = message.payload();
    let cut = &payload[..payload.len().min(MAX_TEXT)];
    let message_type = String::from_utf8_lossy(message.message_type());
    let text = format!("{message_type} {}", String::from_utf8_lossy(cut));
    text.trim_end().replace(['\n', '\r', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(payloads: &[&str]) -> Batch {
        let mut batch = Batch::new();
        for (number, payload) in (0..).zip(payloads) {
            let mut message = batch.begin();
            message.timestamp(number).message_type(b"x").payload(payload.as_bytes());
            message.finish().unwrap();
        }
        batch
    }

    /// What each side makes at entry 5, second 5; then both reach `entry` and `second`.
    fn check(live: &[&str], shadow: &[&str], at: (u64, i64), expected: (u64, u64, u64)) {
        let comparison = Comparison::default();
        comparison.made(Side::Shadow, 5, 5_000_000_000, &batch(shadow), 0);
        comparison.made(Side::Live, 5, 5_000_000_000, &batch(live), 0);
        for side in [Side::Live, Side::Shadow] {
            comparison.reached(side, at.0, at.1 * 1_000_000_000);
        }
        let found = comparison.difference();
        let counts = (found.same, found.only_live.messages, found.only_shadow.messages);
        assert_eq!(counts, expected, "{live:?} {shadow:?}");
    }

    #[test]
    fn what_both_make_is_no_difference() {
        check(&["a", "b"], &["b", "a"], (5, 5), (2, 0, 0));
        check(&["a", "a"], &["a"], (5, 5), (1, 1, 0));
        check(&["a"], &["b", "c"], (5, 5), (0, 1, 2));
        check(&["a"], &["b", "c"], (9, 60), (0, 1, 2));
        // Nobody has passed the entry yet.
        check(&["a"], &[], (4, 4), (0, 0, 0));
    }

    #[test]
    fn a_twin_may_come_some_ticks_later() {
        let comparison = Comparison::default();
        comparison.made(Side::Live, 1, 1_000_000_000, &batch(&["a"]), 0);
        for side in [Side::Live, Side::Shadow] {
            comparison.reached(side, 2, 2_000_000_000);
        }
        assert_eq!(comparison.difference().only_live.messages, 1);
        comparison.made(Side::Shadow, 3, 3_000_000_000, &batch(&["a"]), 0);
        let difference = comparison.difference();
        assert!(difference.is_empty() && difference.same == 1, "{difference:?}");
    }

    #[test]
    fn what_waits_is_bounded() {
        let comparison = Comparison::default();
        for number in 0..MAX_WAITING as u64 + 100 {
            let payload = format!("alert {number}");
            comparison.made(Side::Shadow, number, 0, &batch(&[&payload]), 0);
        }
        assert_eq!(comparison.lock().waiting.len(), MAX_WAITING);
        let difference = comparison.difference();
        assert!(difference.only_shadow.samples.len() <= MAX_SAMPLES);
        // Settled are the hundred that had to go; entry 0 has been passed by both.
        assert_eq!(difference.only_shadow.messages, 100);
    }
}
