//! Sums up what StatFilter and StatsdInput count.
//!
//! It hears the messages of type `heka.stat`, whose fields `name`, `value`, `modifier` and `sampling`
//! hold one value each for every number, and whose field `stat_accum_name` says who is meant. A
//! modifier is `c` (counter), `ms` (timer), `g` (gauge), `g+` (a change to a gauge), `h` (histogram) or
//! `s` (set, with the member as text in the field `member`); where there are none all are counters, and
//! where there is no sampling it is 1. A name may have tags behind it, `hits;env=prod`. It is a filter in
//! truth: what it has counted is its state, and survives a crash.
//!
//! A round is as long as `ticker_interval` says, as in Heka; where ticks were missed, as by a machine that
//! stood still, it is as long as it was, so that rates are those there were.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use anyhow::Context;
use anyhow::bail;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::analysis::stats::Kind;
use crate::analysis::stats::Stats;
use crate::analysis::stats::Telling;
use crate::analysis::stats::Told;
use crate::message::Batch;
use crate::message::Message;
use crate::message::Value;
use crate::metrics::Counter;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Filter;
use crate::plugin::FilterCall;
use crate::plugin::FilterContext;
use crate::plugin::FilterFailure;
use crate::plugin::Filtering;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Stop;

/// A message of numbers is ended when it reaches this part of the largest message.
const FULL: usize = 2;

/// Sums up counters, timers, gauges, sets and histograms, and tells of them every `ticker_interval`.
/// What has tags is told with them: behind the name in the payload, as Graphite reads them, and as
/// fields beside the numbers, in a message for each set of tags.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StatAccumInput {
    /// Whether the payload has the numbers, as lines that Carbon reads: name, value, seconds.
    emit_in_payload: bool,
    /// Whether each number is a field, with `timestamp` in seconds beside them.
    emit_in_fields: bool,
    /// The percentages up to which timers are told of.
    percent_threshold: Vec<f64>,
    /// The type of the messages.
    message_type: String,
    /// Whether counters are `stats.NAME` and `stats_counts.NAME`, as in early statsd.
    legacy_namespaces: bool,
    /// What all names begin with.
    global_prefix: String,
    /// What names of counters go on with.
    counter_prefix: String,
    /// What names of timers go on with.
    timer_prefix: String,
    /// What names of gauges go on with.
    gauge_prefix: String,
    /// What names of histograms and distributions go on with.
    histogram_prefix: String,
    /// What names of sets go on with.
    set_prefix: String,
    /// What the names of its own numbers go on with.
    statsd_prefix: String,
    /// Whether names that had no value in a round are forgotten.
    delete_idle_stats: bool,
}

impl Default for StatAccumInput {
    fn default() -> StatAccumInput {
        StatAccumInput {
            emit_in_payload: true,
            emit_in_fields: false,
            percent_threshold: vec![90.0],
            message_type: "heka.statmetric".to_owned(),
            legacy_namespaces: false,
            global_prefix: "stats".to_owned(),
            counter_prefix: "counters".to_owned(),
            timer_prefix: "timers".to_owned(),
            gauge_prefix: "gauges".to_owned(),
            histogram_prefix: "histograms".to_owned(),
            set_prefix: "sets".to_owned(),
            statsd_prefix: "statsd".to_owned(),
            delete_idle_stats: false,
        }
    }
}

impl Described for StatAccumInput {
    const NAME: &'static str = "StatAccumInput";
    const ABOUT: &'static str = "Sums up the numbers that StatFilter and StatsdInput count.";
    const EXAMPLE: &'static str = "[StatAccumInput]\nticker_interval = 10\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        if !self.emit_in_payload && !self.emit_in_fields {
            bail!("one of `emit_in_payload` and `emit_in_fields` has to be true");
        }
        let is_wrong = |percent: &&f64| !(0.0..=100.0).contains(*percent);
        if let Some(wrong) = self.percent_threshold.iter().find(is_wrong) {
            bail!("`percent_threshold` has {wrong}, which is not between 0 and 100");
        }
        Ok(())
    }
}

#[async_trait]
impl Input for StatAccumInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        // It reads nothing but the journal, as a filter.
        cx.stopping.cancelled().await;
        Ok(())
    }

    fn as_filter(&self) -> Option<(String, Box<dyn Filter>)> {
        Some(("Type == 'heka.stat'".to_owned(), Box::new(self.clone())))
    }
}

impl Filter for StatAccumInput {
    fn start(&self, cx: &FilterContext<'_>) -> anyhow::Result<Box<dyn Filtering>> {
        if cx.ticker_interval.is_zero() {
            bail!("`ticker_interval` has to be above 0");
        }
        Ok(Box::new(Accumulator {
            name: cx.name.to_owned(),
            engine: cx.engine.clone(),
            seconds: cx.ticker_interval.as_secs_f64(),
            refused: cx.engine.metrics.counter(
                "heka_stat_refused_total",
                "Numbers that a StatAccumInput could not take in.",
                &[("plugin", cx.name)],
            ),
            settings: self.clone(),
            state: State::default(),
        }))
    }
}

struct Accumulator {
    name: String,
    engine: Engine,
    seconds: f64,
    settings: StatAccumInput,
    refused: Arc<Counter>,
    state: State,
}

/// What survives.
#[derive(Debug, Default, Deserialize, Serialize)]
struct State {
    /// Engine time of the last round's end, in nanoseconds.
    told: Option<u64>,
    stats: Stats,
}

impl Filtering for Accumulator {
    fn process(
        &mut self,
        batch: &Batch,
        matched: &[u16],
        _call: &mut FilterCall<'_>,
    ) -> Result<(), Stop> {
        for &index in matched {
            let message = batch.message(usize::from(index));
            let meant = message.value(b"stat_accum_name", 0, 0);
            if meant.is_none_or(|meant| meant.as_bytes() == Some(self.name.as_bytes())) {
                self.take(&message);
            }
        }
        Ok(())
    }

    fn timer(&mut self, call: &mut FilterCall<'_>) -> Result<(), Stop> {
        self.tell(call);
        Ok(())
    }

    fn snapshot(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(Some(serde_json::to_vec(&self.state)?))
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<Vec<String>> {
        self.state = serde_json::from_slice(state).context("the state is none of a stataccum")?;
        Ok(Vec::new())
    }
}

impl Accumulator {
    /// Takes in all numbers of a message.
    fn take(&mut self, message: &Message<'_>) {
        let column = |name: &[u8]| message.field(name, 0).map(|field| field.values());
        let (Some(names), Some(numbers)) = (column(b"name"), column(b"value")) else {
            self.refused.add(1);
            return;
        };
        let (mut modifiers, mut rates) = (column(b"modifier"), column(b"sampling"));
        let mut members = column(b"member");
        for (name, number) in names.zip(numbers) {
            let modifier = modifiers.as_mut().and_then(Iterator::next);
            let rate = rates.as_mut().and_then(Iterator::next);
            let member = members.as_mut().and_then(Iterator::next);
            let modifier = modifier.as_ref().and_then(Value::as_bytes);
            let rate = rate.map_or(Some(1.0), number_of);
            let name = name.as_bytes().and_then(|name| std::str::from_utf8(name).ok());
            let is_taken = match (name, number_of(number), rate) {
                (Some(name), Some(value), Some(rate)) if !name.is_empty() => {
                    let member = member.and_then(|member| member.as_bytes());
                    record(&mut self.state.stats, modifier, name, (value, rate), member)
                }
                _ => false,
            };
            if !is_taken {
                self.refused.add(1);
            }
        }
    }

    /// Ends a round.
    fn tell(&mut self, call: &mut FilterCall<'_>) {
        let settings = &self.settings;
        // By tags; what has none comes first.
        let mut groups: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
        let telling = Telling {
            seconds: length(self.state.told, call.engine_time, self.seconds),
            thresholds: &settings.percent_threshold,
            delete_idle: settings.delete_idle_stats,
        };
        self.state.told = Some(call.engine_time);
        let names = self.state.stats.tell(&telling, |told| {
            let (name, tags) = told.name.split_once(';').unwrap_or((told.name, ""));
            let number = (settings.full_name(&Told { name, ..told }), told.value);
            match groups.get_mut(tags) {
                Some(numbers) => numbers.push(number),
                None => drop(groups.insert(tags.to_owned(), vec![number])),
            }
        });
        let own = (settings.own_name("numStats"), names as f64);
        groups.entry(String::new()).or_default().push(own);
        if !settings.emit_in_fields {
            // Without fields nothing keeps numbers of different tags apart.
            groups = merged(groups);
        }
        let full = self.engine.max_message_size / FULL;
        let seconds = call.time.div_euclid(1_000_000_000);
        for (tags, numbers) in &groups {
            let mut rest = &numbers[..];
            while !rest.is_empty() {
                let mut size = 0;
                let fitting = rest.iter().take_while(|(name, _)| {
                    size += 2 * (name.len() + 32) + tags.len();
                    size <= full
                });
                let (now, later) = rest.split_at(fitting.count().max(1));
                self.inject(call, tags, now, seconds);
                rest = later;
            }
        }
    }

    fn inject(
        &self,
        call: &mut FilterCall<'_>,
        tags: &str,
        numbers: &[(String, f64)],
        seconds: i64,
    ) {
        let mut message = call.begin(&self.name, &self.settings.message_type, &self.engine);
        if self.settings.emit_in_payload {
            let mut text = String::new();
            for (name, value) in numbers {
                let separator = if tags.is_empty() { "" } else { ";" };
                let _ = writeln!(text, "{name}{separator}{tags} {value} {seconds}");
            }
            message.payload(text.as_bytes());
        }
        if self.settings.emit_in_fields {
            message.integer("timestamp", "s", seconds);
            for (key, value) in tags.split(';').filter_map(|tag| tag.split_once('=')) {
                message.string(key, "", value.as_bytes());
            }
            for (name, value) in numbers {
                message.double(name, "", *value);
            }
        }
        if let Err(error) = message.finish() {
            (call.on_failure)(FilterFailure { message: None, reason: error.to_string() });
        }
    }
}

/// How long a round was, in seconds, that was to be `asked` long. A tick is never quite on time, and
/// that is no reason for rates to flicker.
fn length(began: Option<u64>, now: u64, asked: f64) -> f64 {
    let passed = began.map_or(asked, |began| now.saturating_sub(began) as f64 / 1e9);
    if passed > 1.5 * asked { passed } else { asked }
}

/// All numbers in one group, with the tags behind their names.
fn merged(groups: BTreeMap<String, Vec<(String, f64)>>) -> BTreeMap<String, Vec<(String, f64)>> {
    let mut all = Vec::new();
    for (tags, numbers) in groups {
        if tags.is_empty() {
            all.extend(numbers);
        } else {
            all.extend(numbers.into_iter().map(|(name, value)| (format!("{name};{tags}"), value)));
        }
    }
    BTreeMap::from([(String::new(), all)])
}

/// Takes in one number, given as its value and the rate at which it was sampled.
fn record(
    stats: &mut Stats,
    modifier: Option<&[u8]>,
    name: &str,
    (value, rate): (f64, f64),
    member: Option<&[u8]>,
) -> bool {
    match (modifier, member) {
        (Some(b"c") | None, _) => stats.record(Kind::Counter, name, value, rate),
        (Some(b"ms"), _) => stats.record(Kind::Timer, name, value, rate),
        (Some(b"g"), _) => stats.record(Kind::Gauge, name, value, rate),
        (Some(b"g+"), _) => stats.change_gauge(name, value),
        (Some(b"h"), _) => stats.record(Kind::Histogram, name, value, rate),
        (Some(b"s"), Some(member)) => stats.add_member(name, member),
        (Some(b"s"), None) => stats.record(Kind::Set, name, value, 1.0),
        (Some(_), _) => false,
    }
}

impl StatAccumInput {
    /// The whole name of a number.
    fn full_name(&self, told: &Told<'_>) -> String {
        let Told { kind, name, part, .. } = *told;
        let global = &*self.global_prefix;
        match (kind, part) {
            (Kind::Counter, "count") if self.legacy_namespaces => dotted(&["stats_counts", name]),
            (Kind::Counter, _) if self.legacy_namespaces => dotted(&[global, name]),
            (Kind::Counter, _) => dotted(&[global, &self.counter_prefix, name, part]),
            (Kind::Timer, _) => dotted(&[global, &self.timer_prefix, name, part]),
            (Kind::Gauge, _) => dotted(&[global, &self.gauge_prefix, name]),
            (Kind::Histogram, _) => dotted(&[global, &self.histogram_prefix, name, part]),
            (Kind::Set, _) => dotted(&[global, &self.set_prefix, name, part]),
        }
    }

    /// The whole name of a number of its own.
    fn own_name(&self, part: &str) -> String {
        if self.legacy_namespaces {
            return dotted(&[&self.statsd_prefix, part]);
        }
        dotted(&[&self.global_prefix, &self.statsd_prefix, part])
    }
}

/// The parts that are not empty, with dots between them.
fn dotted(parts: &[&str]) -> String {
    let mut name = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(part);
    }
    name
}

fn number_of(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Double(number) => Some(number),
        Value::Integer(number) => Some(number as f64),
        Value::String(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}
