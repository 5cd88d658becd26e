//! What goes wrong with plugins, as messages that a matcher can select.
//!
//! | Type | when |
//! | --- | --- |
//! | `heka.plugin-failed` | an input or output has failed and is tried again, a decoder or encoder could not read or write something (Severity 4), or one has ended (3); Payload is the reason, with what to do |
//! | `heka.plugin-back` | an output works again whose failure was told (6) |
//!
//! Logger is `hekad`; the fields are `plugin`, the name of the input or output, `family`, which is `input`,
//! `decoder`, `encoder` or `output`, and `tried`, how often. One plugin tells of a failure once a minute at
//! most, so that one which fails because of what is told here does not tell for ever.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use super::report;
use crate::journal::Journal;
use crate::message::Batch;
use crate::plugin::Engine;

/// How long a plugin says nothing of further failures.
const PAUSE: Duration = Duration::from_mins(1);
/// As much of a reason is told, in characters.
const SHOWN: usize = 1000;

/// Tells of one plugin.
#[derive(Clone, Debug)]
pub(super) struct Failures {
    journal: Journal,
    engine: Engine,
    family: &'static str,
    plugin: Arc<str>,
    told: Arc<Mutex<Told>>,
}

/// What was told of it.
#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    is_failing: bool,
}

impl Failures {
    /// Of the plugin of that name.
    pub(super) fn new(
        family: &'static str,
        plugin: Arc<str>,
        engine: Engine,
        journal: Journal,
    ) -> Failures {
        Failures { journal, engine, family, plugin, told: Arc::default() }
    }

    /// Tells that it has failed and is tried again.
    pub(super) fn failed(&self, error: &str, tried: u32) {
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.is_none_or(|last| now.duration_since(last) >= PAUSE) {
            *told = Told { last: Some(now), is_failing: true };
            drop(told);
            self.tell(b"heka.plugin-failed", 4, error, tried);
        }
    }

    /// Tells that it has ended for good.
    pub(super) fn ended(&self, error: &str, tried: u32) {
        self.tell(b"heka.plugin-failed", 3, error, tried);
    }

    /// Tells that it works again, where the failure was told.
    pub(super) fn is_back(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut told.is_failing) {
            drop(told);
            self.tell(b"heka.plugin-back", 6, "it works again", 0);
        }
    }

    fn tell(&self, message_type: &[u8], severity: i32, text: &str, tried: u32) {
        let now = chrono::Utc::now().timestamp_nanos_opt().unwrap_or_default();
        let text: String = text.chars().take(SHOWN).collect();
        let mut batch = Batch::new();
        let mut message = report::begin(&mut batch, now, message_type);
        message.severity(severity).payload(text.as_bytes());
        message.pid(self.engine.pid).hostname(self.engine.hostname.as_bytes());
        message.string("plugin", "", self.plugin.as_bytes());
        message.string("family", "", self.family.as_bytes());
        message.integer("tried", "count", i64::from(tried));
        match message.finish() {
            Ok(()) => report::append(&self.journal, batch),
            Err(error) => tracing::error!(%error, "cannot tell of a failure in a message"),
        }
    }
}
