//! How many messages there are, and how many a second.

use std::time::Duration;

use anyhow::Context;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::message::Batch;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Filter;
use crate::plugin::FilterCall;
use crate::plugin::FilterContext;
use crate::plugin::FilterFailure;
use crate::plugin::Filtering;
use crate::plugin::Stop;

/// So many rates are summed up in one message.
const RATES: usize = 10;

/// Counts messages and says so every `ticker_interval`.
///
/// It injects messages of type `heka.counter-output` with a text as payload and the fields `count`
/// and `rate`; after every ten of them one with `sum`, `min`, `max` and `mean` of their rates.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CounterFilter {}

impl Described for CounterFilter {
    const NAME: &'static str = "CounterFilter";
    const ABOUT: &'static str = "Counts messages and says how many there are a second.";
    const EXAMPLE: &'static str = "[CounterFilter]\nticker_interval = 10\n";
    const DEFAULTS: Defaults = Defaults {
        message_matcher: Some("Type != 'heka.counter-output'"),
        ticker_interval: 5,
        ..Defaults::NONE
    };
}

impl Filter for CounterFilter {
    fn start(&self, cx: &FilterContext<'_>) -> anyhow::Result<Box<dyn Filtering>> {
        Ok(Box::new(Counter {
            name: cx.name.to_owned(),
            engine: cx.engine.clone(),
            interval: cx.ticker_interval,
            state: State::default(),
        }))
    }
}

struct Counter {
    name: String,
    engine: Engine,
    interval: Duration,
    state: State,
}

/// What a snapshot holds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    count: u64,
    /// The count when it was last said.
    said: u64,
    /// Engine time when it was last said, in nanoseconds; `None` before the first time.
    said_at: Option<u64>,
    /// What was said since the last sum.
    rates: Vec<f64>,
}

impl Filtering for Counter {
    fn process(
        &mut self,
        _batch: &Batch,
        matched: &[u16],
        _call: &mut FilterCall<'_>,
    ) -> Result<(), Stop> {
        self.state.count += matched.len() as u64;
        Ok(())
    }

    fn timer(&mut self, call: &mut FilterCall<'_>) -> Result<(), Stop> {
        let state = &mut self.state;
        let since =
            state.said_at.map(|at| Duration::from_nanos(call.engine_time.saturating_sub(at)));
        let seconds = since.filter(|since| !since.is_zero()).unwrap_or(self.interval).as_secs_f64();
        let rate = if seconds > 0.0 { (state.count - state.said) as f64 / seconds } else { 0.0 };
        state.said = state.count;
        state.said_at = Some(call.engine_time);
        state.rates.push(rate);
        let count = i64::try_from(state.count).unwrap_or(i64::MAX);
        self.say(call, &format!("Got {count} messages. {rate:.2} msg/sec"), |message| {
            message.integer("count", "count", count).double("rate", "1/s", rate);
        });
        if self.state.rates.len() >= RATES {
            let rates = std::mem::take(&mut self.state.rates);
            self.say_sum(call, &rates);
        }
        Ok(())
    }

    fn snapshot(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(Some(serde_json::to_vec(&self.state)?))
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<Vec<String>> {
        self.state = serde_json::from_slice(state).context("the state is none of a counter")?;
        Ok(Vec::new())
    }
}

impl Counter {
    fn say_sum(&self, call: &mut FilterCall<'_>, rates: &[f64]) {
        let sum: f64 = rates.iter().sum();
        let min = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let max = rates.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = sum / rates.len() as f64;
        let text = format!("AGG Sum. {sum:.2} Min. {min:.2} Max. {max:.2} Mean. {mean:.2}");
        self.say(call, &text, |message| {
            message.double("sum", "1/s", sum).double("min", "1/s", min);
            message.double("max", "1/s", max).double("mean", "1/s", mean);
        });
    }

    fn say(
        &self,
        call: &mut FilterCall<'_>,
        payload: &str,
        fields: impl FnOnce(&mut crate::message::Builder<'_>),
    ) {
        let mut message = call.begin(&self.name, "heka.counter-output", &self.engine);
        message.payload(payload.as_bytes());
        fields(&mut message);
        if let Err(error) = message.finish() {
            (call.on_failure)(FilterFailure { message: None, reason: error.to_string() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::testing;

    fn payloads(out: &Batch) -> Vec<String> {
        out.iter().map(|one| String::from_utf8_lossy(one.payload()).into_owned()).collect()
    }

    fn tick(counter: &mut dyn Filtering, second: u64) -> Vec<String> {
        payloads(&testing::call(second, |call| counter.timer(call).unwrap()))
    }

    fn count(counter: &mut dyn Filtering, messages: u16) {
        let matched: Vec<_> = (0..messages).collect();
        testing::call(0, |call| counter.process(&Batch::new(), &matched, call).unwrap());
    }

    #[test]
    fn the_rate_is_that_since_the_last_tick() {
        let mut counter = testing::start(&CounterFilter {}, Duration::from_secs(5));
        count(&mut *counter, 10);
        assert_eq!(tick(&mut *counter, 5), ["Got 10 messages. 2.00 msg/sec"]);
        count(&mut *counter, 30);
        assert_eq!(tick(&mut *counter, 15), ["Got 40 messages. 3.00 msg/sec"]);
    }

    #[test]
    fn ten_rates_are_summed_up_over_a_restart_too() {
        let mut counter = testing::start(&CounterFilter {}, Duration::from_secs(1));
        for second in 1..10 {
            count(&mut *counter, 2);
            assert_eq!(tick(&mut *counter, second).len(), 1);
        }
        let state = counter.snapshot().unwrap().unwrap();
        let mut counter = testing::start(&CounterFilter {}, Duration::from_secs(1));
        counter.restore(&state).unwrap();
        count(&mut *counter, 12);
        assert_eq!(
            tick(&mut *counter, 10),
            ["Got 30 messages. 12.00 msg/sec", "AGG Sum. 30.00 Min. 2.00 Max. 12.00 Mean. 3.00"]
        );
    }

    #[test]
    fn a_replay_names_its_messages_alike() {
        let uuids = || {
            let mut counter = testing::start(&CounterFilter {}, Duration::from_secs(1));
            let out = testing::call(7, |call| {
                counter.timer(call).unwrap();
                counter.timer(call).unwrap();
            });
            out.iter().map(|message| message.uuid().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(uuids(), uuids());
        assert_ne!(uuids()[0], uuids()[1]);
    }
}
