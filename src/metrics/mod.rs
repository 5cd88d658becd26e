//! Counters and gauges, and their registry.
//!
//! Numbers are atomics that plugins and the pipeline share; the registry knows them by name and
//! labels and writes them in the Prometheus text format (version 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// In a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `by`.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// The sum so far.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Makes the value `value`.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// The value that was last set.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Debug, Clone)]
enum Number {
    Counter(Arc<Counter>),
    /// A counter of nanoseconds, shown in seconds as Prometheus wants all times.
    Time(Arc<Counter>),
    Gauge(Arc<Gauge>),
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    numbers: BTreeMap<String, Number>,
}

/// All numbers of an engine, by name and labels.
#[derive(Debug, Default)]
pub struct Registry {
    families: Mutex<BTreeMap<&'static str, Family>>,
}

impl Registry {
    /// The counter `name` with these labels, made when it is first asked for.
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Arc<Counter> {
        let fresh = || Number::Counter(Arc::default());
        match self.number(name, help, labels, fresh) {
            Number::Counter(counter) => counter,
            Number::Time(_) | Number::Gauge(_) => Arc::default(),
        }
    }

    /// The counter `name` with these labels, made when it is first asked for. It counts nanoseconds
    /// and is shown in seconds, which its name should say.
    pub fn time(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Arc<Counter> {
        match self.number(name, help, labels, || Number::Time(Arc::default())) {
            Number::Time(counter) => counter,
            Number::Counter(_) | Number::Gauge(_) => Arc::default(),
        }
    }

    /// The gauge `name` with these labels, made when it is first asked for.
    pub fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Arc<Gauge> {
        match self.number(name, help, labels, || Number::Gauge(Arc::default())) {
            Number::Gauge(gauge) => gauge,
            Number::Counter(_) | Number::Time(_) => Arc::default(),
        }
    }

    /// Forgets all numbers that carry the label, when what it names is gone.
    pub fn forget(&self, label: (&str, &str)) {
        let wanted = label_text(label);
        for family in self.lock().values_mut() {
            family.numbers.retain(|labels, _| !labels.split(',').any(|one| one == wanted));
        }
    }

    /// The Prometheus text form of all numbers.
    pub fn exposition(&self) -> String {
        let mut out = String::new();
        for (name, family) in self.lock().iter() {
            let Some(first) = family.numbers.values().next() else { continue };
            let form = match first {
                Number::Counter(_) | Number::Time(_) => "counter",
                Number::Gauge(_) => "gauge",
            };
            let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {form}", family.help);
            for (labels, number) in &family.numbers {
                out.push_str(name);
                if !labels.is_empty() {
                    let _ = write!(out, "{{{labels}}}");
                }
                let _ = match number {
                    Number::Counter(counter) => writeln!(out, " {}", counter.value()),
                    Number::Time(counter) => {
                        let (seconds, rest) =
                            (counter.value() / NANOSECONDS, counter.value() % NANOSECONDS);
                        writeln!(out, " {seconds}.{rest:09}")
                    }
                    Number::Gauge(gauge) => writeln!(out, " {}", gauge.value()),
                };
            }
        }
        out
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Family>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        fresh: impl FnOnce() -> Number,
    ) -> Number {
        let labels = labels.iter().map(|label| label_text(*label)).collect::<Vec<_>>().join(",");
        let mut families = self.lock();
        let family =
            families.entry(name).or_insert_with(|| Family { help, numbers: BTreeMap::new() });
        family.numbers.entry(labels).or_insert_with(fresh).clone()
    }
}

/// `name="value"` with the value escaped as the format asks.
fn label_text((name, value): (&str, &str)) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposition_shows_each_number_under_its_family() {
        let registry = Registry::default();
        registry.counter("heka_messages_total", "Messages.", &[("plugin", "a\"b")]).add(3);
        registry.gauge("heka_lag", "Entries behind.", &[]).set(1.5);
        registry.time("heka_seconds_total", "CPU time.", &[]).add(1_002_000_000);
        assert_eq!(
            registry.exposition(),
            "# HELP heka_lag Entries behind.\n# TYPE heka_lag gauge\nheka_lag 1.5\n\
             # HELP heka_messages_total Messages.\n# TYPE heka_messages_total counter\n\
             heka_messages_total{plugin=\"a\\\"b\"} 3\n\
             # HELP heka_seconds_total CPU time.\n# TYPE heka_seconds_total counter\n\
             heka_seconds_total 1.002000000\n"
        );
    }

    #[test]
    fn what_is_forgotten_is_not_shown() {
        let registry = Registry::default();
        registry.counter("c", "C.", &[("plugin", "gone")]).add(1);
        registry.forget(("plugin", "gone"));
        assert_eq!(registry.exposition(), "");
    }
}
