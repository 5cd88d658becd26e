//! Numbers out of messages, for StatAccumInput to sum up.

mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use self::template::Template;
use crate::message::ArrayBuilder;
use crate::message::Batch;
use crate::message::Message;
use crate::message::Value;
use crate::metrics::Counter;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Filter;
use crate::plugin::FilterCall;
use crate::plugin::FilterContext;
use crate::plugin::FilterFailure;
use crate::plugin::Filtering;
use crate::plugin::Stop;

/// A message of values is ended when it reaches this size, in bytes, or half of the largest.
const FULL: usize = 48 * 1024;

/// Reads numbers from messages and hands them to a StatAccumInput.
///
/// It injects messages of type `heka.stat`: the field `stat_accum_name` says for whom, and the
/// fields `name`, `value`, `modifier` (`c`, `ms` or `g`) and `sampling` hold one value each for
/// every number. In names and values `%Type%`, `%Logger%`, `%Hostname%`, `%Payload%` and `%FIELD%`
/// stand for what the message has; a number whose message lacks one of them is left out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StatFilter {
    /// The StatAccumInput that is to hear the numbers.
    #[serde(default = "stat_accum")]
    stat_accum_name: String,
    /// The numbers, by names that only tell them apart.
    #[serde(rename = "Metric", default)]
    metric: BTreeMap<String, Metric>,
}

/// A number in a message.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Metric {
    /// What becomes of the number.
    #[serde(rename = "type")]
    form: Form,
    /// What it is called.
    name: Template,
    /// Where it comes from.
    value: Template,
    /// Whether dots in what goes into the name become underscores.
    #[serde(default)]
    replace_dot: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
enum Form {
    /// It is added to a sum.
    Counter,
    /// It is a duration in milliseconds.
    Timer,
    /// It takes the place of the last one.
    Gauge,
}

impl Form {
    fn modifier(self) -> &'static [u8] {
        match self {
            Form::Counter => b"c",
            Form::Timer => b"ms",
            Form::Gauge => b"g",
        }
    }
}

fn stat_accum() -> String {
    "StatAccumInput".to_owned()
}

impl Described for StatFilter {
    const NAME: &'static str = "StatFilter";
    const ABOUT: &'static str = "Reads numbers from messages, for StatAccumInput to sum up.";
    const EXAMPLE: &'static str = "[StatFilter]\nmessage_matcher = \"Type == 'nginx.access'\"\n\n\
        [StatFilter.Metric.hits]\ntype = \"Counter\"\n\
        name = \"http.%Hostname%.%status%\"\nvalue = \"1\"\nreplace_dot = true\n\n\
        [StatAccumInput]\nticker_interval = 10\n";
}

impl Filter for StatFilter {
    fn start(&self, cx: &FilterContext<'_>) -> anyhow::Result<Box<dyn Filtering>> {
        anyhow::ensure!(!self.metric.is_empty(), "there is no [{}.Metric.NAME]", cx.name);
        Ok(Box::new(Stat {
            name: cx.name.to_owned(),
            engine: cx.engine.clone(),
            accum: self.stat_accum_name.clone(),
            metrics: self.metric.values().cloned().collect(),
            left_out: cx.engine.metrics.counter(
                "heka_stat_left_out_total",
                "Numbers that a StatFilter found no value for in a message it heard.",
                &[("plugin", cx.name)],
            ),
            full: FULL.min(cx.engine.max_message_size / 2),
            values: Values::default(),
            text: Vec::new(),
        }))
    }
}

struct Stat {
    name: String,
    engine: Engine,
    accum: String,
    metrics: Vec<Metric>,
    left_out: Arc<Counter>,
    full: usize,
    values: Values,
    /// A name or value while it is put together.
    text: Vec<u8>,
}

/// The numbers of one message to inject.
#[derive(Default)]
struct Values {
    names: ArrayBuilder,
    numbers: ArrayBuilder,
    modifiers: ArrayBuilder,
    sampling: ArrayBuilder,
    /// About how many bytes they take.
    size: usize,
}

impl Values {
    fn push(&mut self, name: &[u8], value: f64, modifier: &[u8]) {
        self.names.push(Value::String(name));
        self.numbers.push(Value::Double(value));
        self.modifiers.push(Value::String(modifier));
        self.sampling.push(Value::Double(1.0));
        self.size += name.len() + modifier.len() + 24;
    }

    fn clear(&mut self) {
        self.names.clear();
        self.numbers.clear();
        self.modifiers.clear();
        self.sampling.clear();
        self.size = 0;
    }
}

impl Filtering for Stat {
    fn process(
        &mut self,
        batch: &Batch,
        matched: &[u16],
        call: &mut FilterCall<'_>,
    ) -> Result<(), Stop> {
        for &index in matched {
            let message = batch.message(usize::from(index));
            for metric in &self.metrics {
                if !read(metric, &message, &mut self.text, &mut self.values) {
                    self.left_out.add(1);
                }
            }
            if self.values.size >= self.full {
                self.inject(call);
            }
        }
        self.inject(call);
        Ok(())
    }

    fn snapshot(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn restore(&mut self, _state: &[u8]) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

impl Stat {
    fn inject(&mut self, call: &mut FilterCall<'_>) {
        if self.values.size == 0 {
            return;
        }
        let mut message = call.begin(&self.name, "heka.stat", &self.engine);
        message
            .string("stat_accum_name", "", self.accum.as_bytes())
            .array("name", "", &self.values.names)
            .array("value", "", &self.values.numbers)
            .array("modifier", "", &self.values.modifiers)
            .array("sampling", "", &self.values.sampling);
        if let Err(error) = message.finish() {
            (call.on_failure)(FilterFailure { message: None, reason: error.to_string() });
        }
        self.values.clear();
    }
}

/// Reads one number; `false` when the message has none.
fn read(metric: &Metric, message: &Message<'_>, text: &mut Vec<u8>, values: &mut Values) -> bool {
    text.clear();
    let Some(value) = metric.value.number(message, text) else { return false };
    text.clear();
    let is_named = metric.name.put(message, text, metric.replace_dot);
    if is_named && !text.is_empty() {
        values.push(text, value, metric.form.modifier());
    }
    is_named && !text.is_empty()
}
