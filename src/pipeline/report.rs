//! What the engine says of itself in messages, as Heka did.
//!
//! | Type | content |
//! | --- | --- |
//! | `heka.all-report` | JSON payload: for each family a list of plugins, each with `Name` and numbers of the form `{"value": 1, "representation": "count"}` |
//! | `heka.memstat` | fields `HeapSys`, `HeapAlloc`, `HeapIdle`, `HeapInuse`, `HeapReleased`, in B |
//!
//! Logger is `hekad`. They come at fixed times and never because of a message, so that they bring
//! forth none of their own kind; a matcher `TRUE` lets them pass as in Heka.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::Pipeline;
use crate::journal::Journal;
use crate::message::Batch;
use crate::message::Builder;
use crate::message::Uuids;
use crate::metrics::Counter;

/// The Logger of what the engine says of itself.
const LOGGER: &[u8] = b"hekad";

impl Pipeline {
    /// Appends a report on everything, and one on memory, to the journal; `wall` is the time, in
    /// nanoseconds since the epoch. Returns at once; what fails is logged.
    pub fn report(&self, wall: i64) {
        let engine = &self.plan.engine;
        let payload = self.report_as_json().to_string();
        let mut batch = Batch::new();
        let mut all = begin(&mut batch, wall, b"heka.all-report");
        all.payload(payload.as_bytes());
        all.pid(engine.pid).hostname(engine.hostname.as_bytes());
        let mut done = all.finish();
        if let Some(memory) = Memory::now() {
            let mut message = begin(&mut batch, wall, b"heka.memstat");
            message.pid(engine.pid).hostname(engine.hostname.as_bytes());
            memory.write(&mut message);
            done = done.and(message.finish());
        }
        if let Err(error) = done {
            tracing::error!(%error, "cannot make a report");
            return;
        }
        let journal = self.journal.clone();
        tokio::task::spawn_blocking(move || append(&journal, batch));
    }

    /// The report on everything, as Heka's `heka.all-report` has it.
    pub fn report_as_json(&self) -> Value {
        let inputs = self.inputs.iter().map(|input| {
            let counters = &input.counters;
            let mut entry = Entry::of(&input.name);
            entry.count("ProcessMessageCount", &counters.messages);
            entry.count("ProcessMessageFailures", &counters.decode_failures);
            entry.count("DropMessageCount", &counters.dropped);
            entry.set("ProcessByteCount", counters.bytes.value(), "B");
            entry.count("Restarts", &counters.restarts);
            entry.value()
        });
        json!({
            "globals": [self.journal_entry()],
            "inputs": inputs.collect::<Vec<_>>(),
            "splitters": self.splitter_entries(),
            "decoders": self.decoder_entries(),
            "filters": self.filter_entries(),
            "outputs": self.output_entries(),
            "encoders": self.encoder_entries(),
        })
    }

    fn journal_entry(&self) -> Value {
        let status = self.journal.status();
        let mut entry = Entry::of("journal");
        entry.set("Oldest", status.oldest.0, "count");
        entry.set("End", status.end.0, "count");
        entry.set("Durable", status.durable.0, "count");
        entry.set("Bytes", status.bytes, "B");
        entry.set("MaxBytes", status.max_bytes, "B");
        entry.set("NeededBytes", status.needed_bytes, "B");
        entry.set("DroppedEntries", status.dropped_entries, "count");
        entry.value()
    }

    /// A splitter or decoder belongs to its input, and has its name before its own, as in Heka.
    fn splitter_entries(&self) -> Vec<Value> {
        let inputs = self.plan.inputs.iter();
        inputs
            .map(|input| Entry::of(&format!("{}-{}", input.section.name, input.splitter)).value())
            .collect()
    }

    fn decoder_entries(&self) -> Vec<Value> {
        let mut entries = Vec::new();
        for planned in &self.plan.inputs {
            let Some(decoder) = &planned.decoder else { continue };
            let mut entry = Entry::of(&format!("{}-{decoder}", planned.section.name));
            let running = self.inputs.iter().find(|input| *input.name == *planned.section.name);
            if let Some(input) = running {
                entry.count("ProcessMessageCount", &input.counters.messages);
                entry.count("ProcessMessageFailures", &input.counters.decode_failures);
            }
            entries.push(entry.value());
        }
        entries
    }

    fn filter_entries(&self) -> Vec<Value> {
        let mut entries = Vec::new();
        for planned in &self.plan.filters {
            let mut entry = Entry::of(&planned.name);
            if let Some(counters) = self.filter_counters.get(&planned.name) {
                entry.count("ProcessMessageCount", &counters.matched);
                entry.count("ProcessMessageFailures", &counters.failures);
                entry.count("InjectMessageCount", &counters.injected);
                entry.count("AlertCount", &counters.alerts);
                entry.set("Memory", counters.memory.value(), "B");
                entry.set("StateSize", counters.state.value(), "B");
                entry.set("Lag", counters.lag.value(), "count");
                entry.cost(counters.cpu.value(), counters.matched.value());
                entry.count("Restarts", &counters.restarts);
            }
            let interval = planned.reading.ticker_interval.as_secs();
            entry.set("TickerInterval", interval, "s");
            entries.push(entry.value());
        }
        entries
    }

    fn output_entries(&self) -> Vec<Value> {
        let mut entries = Vec::new();
        for planned in &self.plan.outputs {
            let name = planned.section.name.as_str();
            let mut entry = Entry::of(name);
            if let Some(counters) = self.output_counters.get(name) {
                entry.count("ProcessMessageCount", &counters.matched);
                entry.count("ProcessMessageFailures", &counters.rejected);
                entry.count("SentMessageCount", &counters.sent);
                entry.set("SentByteCount", counters.bytes.value(), "B");
                entry.count("RetryCount", &counters.retries);
                entry.set("Lag", counters.lag.value(), "count");
            }
            entries.push(entry.value());
        }
        entries
    }

    fn encoder_entries(&self) -> Vec<Value> {
        let outputs = self.plan.outputs.iter();
        let encoders = outputs.filter_map(|output| {
            let (encoder, _) = output.encoder.as_ref()?;
            Some(Entry::of(&format!("{}-{encoder}", output.section.name)).value())
        });
        encoders.collect()
    }
}

pub(super) fn begin<'a>(batch: &'a mut Batch, wall: i64, message_type: &[u8]) -> Builder<'a> {
    let uuid = Uuids::default().make();
    let mut message = batch.begin();
    message.uuid(&uuid).timestamp(wall).message_type(message_type).logger(LOGGER);
    message
}

pub(super) fn append(journal: &Journal, batch: Batch) {
    if let Err((error, _)) = journal.append_injected(batch) {
        tracing::warn!(%error, "cannot append a report");
    }
}

/// One plugin in a report.
struct Entry(Map<String, Value>);

impl Entry {
    fn of(name: &str) -> Entry {
        Entry(Map::from_iter([("Name".to_owned(), Value::from(name))]))
    }

    fn set(&mut self, key: &str, value: impl Into<Value>, representation: &str) {
        let value = json!({ "value": value.into(), "representation": representation });
        self.0.insert(key.to_owned(), value);
    }

    fn count(&mut self, key: &str, counter: &Counter) {
        self.set(key, counter.value(), "count");
    }

    /// CPU time in nanoseconds, in all and of each message.
    fn cost(&mut self, cpu: u64, messages: u64) {
        self.set("CpuTime", cpu, "ns");
        self.set("ProcessMessageAvgDuration", cpu.checked_div(messages).unwrap_or(0), "ns");
    }

    fn value(self) -> Value {
        Value::Object(self.0)
    }
}

/// Memory of the process, in bytes, by the names that Go's runtime has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Memory {
    /// Taken from the system: the data segment.
    sys: i64,
    /// In use: what of it is in memory and belongs to no file.
    in_use: i64,
}

impl Memory {
    /// The numbers of now, where `/proc` tells them.
    fn now() -> Option<Memory> {
        Memory::read(&std::fs::read_to_string("/proc/self/status").ok()?)
    }

    /// Reads `/proc/self/status`.
    fn read(status: &str) -> Option<Memory> {
        let kibibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<i64>().ok()?.checked_mul(1024)
        };
        Some(Memory { sys: kibibytes("VmData:")?, in_use: kibibytes("RssAnon:")? })
    }

    fn write(self, message: &mut Builder<'_>) {
        let idle = (self.sys - self.in_use).max(0);
        for (name, bytes) in [
            ("HeapSys", self.sys),
            ("HeapAlloc", self.in_use),
            ("HeapIdle", idle),
            ("HeapInuse", self.in_use),
            ("HeapReleased", idle),
        ] {
            message.integer(name, "B", bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_proc() {
        let status = "VmPeak:\t  10 kB\nVmData:\t   8 kB\nRssAnon:\t  2 kB\n";
        assert_eq!(Memory::read(status), Some(Memory { sys: 8192, in_use: 2048 }));
        assert_eq!(Memory::read("VmData:\t 8 kB\n"), None);
    }

    #[test]
    fn an_entry_is_heka_s() {
        let mut entry = Entry::of("f");
        entry.cost(3000, 2);
        let expected = json!({
            "Name": "f",
            "CpuTime": {"value": 3000, "representation": "ns"},
            "ProcessMessageAvgDuration": {"value": 1500, "representation": "ns"},
        });
        assert_eq!(entry.value(), expected);
        let mut idle = Entry::of("g");
        idle.cost(0, 0);
        assert_eq!(idle.value()["ProcessMessageAvgDuration"]["value"], 0);
    }
}
