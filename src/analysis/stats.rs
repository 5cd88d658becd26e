//! Counters, timers and gauges as statsd has them: summed up between two rounds, then told.
//!
//! | kind | what a round tells |
//! | --- | --- |
//! | counter | `rate` a second, `count` |
//! | timer, histogram | `count`, `count_ps` a second, `lower`, `upper`, `sum`, `mean`, `median` (histogram), and for each threshold N `mean_N` and `upper_N` of the lowest N percent |
//! | gauge | the last value, with what was added since |
//! | set | `count` of different members |
//!
//! A value that was sampled at rate r counts 1/r times; in a timer that goes for its counts alone.
//! Up to [`MAX_VALUES`] values in a round, `upper_N` and `mean_N` are exact. Beyond, a timer keeps a
//! uniform sample of that many: the share of all values that lie below `upper_N` is then N % give or
//! take 0.8 percentage points in 9 999 of 10 000 rounds. Counts, sum and bounds stay exact. A member
//! of a set is kept as 64 bits of a hash, up to [`MAX_MEMBERS`] of them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;

/// The most values a timer keeps in a round.
pub const MAX_VALUES: usize = 65_536;
/// The most members of a set in a round; further ones are refused.
pub const MAX_MEMBERS: usize = 1_000_000;
/// The most names there are of a kind; further ones are refused.
pub const MAX_NAMES: usize = 100_000;

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is added to a sum.
    Counter,
    /// It is one of many, a duration in milliseconds as a rule.
    Timer,
    /// It takes the place of the last one.
    Gauge,
    /// It is one of many.
    Histogram,
    /// It is one of those that are counted once.
    Set,
}

/// All counters, timers and gauges, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    counters: BTreeMap<String, Counter>,
    timers: BTreeMap<String, Timer>,
    gauges: BTreeMap<String, Gauge>,
    #[serde(default)]
    histograms: BTreeMap<String, Timer>,
    #[serde(default)]
    sets: BTreeMap<String, BTreeSet<u64>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counter {
    sum: f64,
    is_touched: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Timer {
    /// How many values, each 1/r times.
    weight: f64,
    /// How many values came.
    count: u64,
    sum: f64,
    bounds: Option<(f64, f64)>,
    values: Vec<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Gauge {
    value: f64,
    is_touched: bool,
}

/// How a round is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling<'a> {
    /// Seconds since the last round.
    pub seconds: f64,
    /// Percentages that timers are told up to.
    pub thresholds: &'a [f64],
    /// Whether names without a value in the round are forgotten.
    pub delete_idle: bool,
}

/// One number of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Told<'a> {
    /// What it is of.
    pub kind: Kind,
    /// The name it was recorded under.
    pub name: &'a str,
    /// Which number of the name; empty for gauges.
    pub part: &'a str,
    /// The number.
    pub value: f64,
}

impl Stats {
    /// Takes a value in; `false` when it is no number, has no rate, or there is no room for its
    /// name.
    pub fn record(&mut self, kind: Kind, name: &str, value: f64, sampling: f64) -> bool {
        let is_rate = sampling > 0.0 && sampling <= 1.0;
        if !value.is_finite() || !is_rate {
            return false;
        }
        match kind {
            Kind::Counter => slot(&mut self.counters, name).map(|counter| {
                counter.sum += value / sampling;
                counter.is_touched = true;
            }),
            Kind::Timer => slot(&mut self.timers, name).map(|timer| timer.push(value, sampling)),
            Kind::Gauge => slot(&mut self.gauges, name).map(|gauge| {
                *gauge = Gauge { value, is_touched: true };
            }),
            Kind::Histogram => {
                slot(&mut self.histograms, name).map(|values| values.push(value, sampling))
            }
            Kind::Set => return self.add_member(name, &value.to_bits().to_le_bytes()),
        }
        .is_some()
    }

    /// Adds to a gauge, which is 0 at first; `false` when it is no number, or there is no room for its
    /// name.
    pub fn change_gauge(&mut self, name: &str, change: f64) -> bool {
        if !change.is_finite() {
            return false;
        }
        let changed = slot(&mut self.gauges, name).map(|gauge| {
            *gauge = Gauge { value: gauge.value + change, is_touched: true };
        });
        changed.is_some()
    }

    /// Counts a member of a set; `false` when there is no room for its name or for it.
    pub fn add_member(&mut self, name: &str, member: &[u8]) -> bool {
        let Some(set) = slot(&mut self.sets, name) else { return false };
        let hash = hash(member);
        if set.len() >= MAX_MEMBERS && !set.contains(&hash) {
            return false;
        }
        set.insert(hash);
        true
    }

    /// Ends a round: hands each number to `tell`, by kind and name, and begins anew. Gives how many
    /// names were told of.
    pub fn tell(&mut self, telling: &Telling<'_>, mut tell: impl FnMut(Told<'_>)) -> usize {
        let seconds = telling.seconds;
        if telling.delete_idle {
            self.counters.retain(|_, counter| counter.is_touched);
            self.timers.retain(|_, timer| timer.count > 0);
            self.gauges.retain(|_, gauge| gauge.is_touched);
            self.histograms.retain(|_, histogram| histogram.count > 0);
            self.sets.retain(|_, set| !set.is_empty());
        }
        for (name, counter) in &mut self.counters {
            let sum = std::mem::take(counter).sum;
            let mut told = |part, value| tell(Told { kind: Kind::Counter, name, part, value });
            told("rate", sum / seconds);
            told("count", sum);
        }
        let thresholds: Vec<_> =
            telling.thresholds.iter().map(|percent| Threshold::of(*percent)).collect();
        for (name, timer) in &mut self.timers {
            let told = |part: &str, value| tell(Told { kind: Kind::Timer, name, part, value });
            std::mem::take(timer).tell(seconds, &thresholds, None, told);
        }
        for (name, values) in &mut self.histograms {
            let told = |part: &str, value| tell(Told { kind: Kind::Histogram, name, part, value });
            std::mem::take(values).tell(seconds, &thresholds, Some("median"), told);
        }
        for (name, set) in &mut self.sets {
            let count = std::mem::take(set).len() as f64;
            tell(Told { kind: Kind::Set, name, part: "count", value: count });
        }
        for (name, gauge) in &mut self.gauges {
            gauge.is_touched = false;
            tell(Told { kind: Kind::Gauge, name, part: "", value: gauge.value });
        }
        let many = self.counters.len() + self.timers.len() + self.gauges.len();
        many + self.histograms.len() + self.sets.len()
    }
}

/// What is under `name`, made when there is room.
fn slot<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str) -> Option<&'a mut T> {
    if !map.contains_key(name) {
        if map.len() >= MAX_NAMES {
            return None;
        }
        map.insert(name.to_owned(), T::default());
    }
    map.get_mut(name)
}

struct Threshold {
    percent: f64,
    mean: String,
    upper: String,
}

impl Threshold {
    fn of(percent: f64) -> Threshold {
        let number = percent.to_string().replace('.', "_");
        Threshold { percent, mean: format!("mean_{number}"), upper: format!("upper_{number}") }
    }
}

impl Timer {
    fn push(&mut self, value: f64, sampling: f64) {
        self.weight += 1.0 / sampling;
        self.count += 1;
        self.sum += value;
        let (lower, upper) = self.bounds.unwrap_or((value, value));
        self.bounds = Some((lower.min(value), upper.max(value)));
        if self.values.len() < MAX_VALUES {
            self.values.push(value);
            return;
        }
        // Each value stays with the same chance; the same values always give the same sample.
        let chance = scatter(self.count) % self.count;
        let at = usize::try_from(chance).unwrap_or(usize::MAX);
        if let Some(kept) = self.values.get_mut(at) {
            *kept = value;
        }
    }

    fn tell(
        mut self,
        seconds: f64,
        thresholds: &[Threshold],
        median: Option<&str>,
        mut tell: impl FnMut(&str, f64),
    ) {
        tell("count", self.weight);
        tell("count_ps", self.weight / seconds);
        self.values.sort_by(f64::total_cmp);
        let Some((lower, upper)) = self.bounds else { return };
        tell("lower", lower);
        tell("upper", upper);
        tell("sum", self.sum);
        tell("mean", self.sum / self.count as f64);
        if let Some(median) = median {
            let (low, high) = ((self.values.len() - 1) / 2, self.values.len() / 2);
            tell(median, f64::midpoint(self.values[low], self.values[high]));
        }
        for Threshold { percent, mean, upper } in thresholds {
            let below = self.below(*percent);
            tell(mean, below.iter().sum::<f64>() / below.len() as f64);
            tell(upper, below[below.len() - 1]);
        }
    }

    /// The lowest `percent` percent of the sorted values, at least one.
    fn below(&self, percent: f64) -> &[f64] {
        let above = ((100.0 - percent) / 100.0 * self.values.len() as f64).round();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a length"
        )]
        let above = above as usize;
        &self.values[..self.values.len().saturating_sub(above).max(1)]
    }
}

/// The same bytes always give the same number, in every run (FNV-1a, spread).
fn hash(bytes: &[u8]) -> u64 {
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    scatter(bytes.iter().fold(0xcbf2_9ce4_8422_2325, add))
}

/// Spreads numbers that follow each other over all 64 bits (the finalizer of SplitMix64).
fn scatter(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stats: &mut Stats, delete_idle: bool) -> Vec<(String, f64)> {
        let telling = Telling { seconds: 10.0, thresholds: &[90.0, 99.5], delete_idle };
        let mut all = Vec::new();
        stats.tell(&telling, |told| all.push((format!("{}.{}", told.name, told.part), told.value)));
        all
    }

    fn check(recorded: &[(Kind, f64, f64)], expected: &[(&str, f64)]) {
        let mut stats = Stats::default();
        for (kind, value, sampling) in recorded {
            assert!(stats.record(*kind, "x", *value, *sampling));
        }
        let found = told(&mut stats, false);
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn counters_are_summed_and_scaled_by_their_sampling() {
        check(
            &[(Kind::Counter, 3.0, 1.0), (Kind::Counter, 1.0, 0.1)],
            &[("x.rate", 1.3), ("x.count", 13.0)],
        );
    }

    #[test]
    fn gauges_keep_the_last_value() {
        check(&[(Kind::Gauge, 3.0, 1.0), (Kind::Gauge, -7.5, 1.0)], &[("x.", -7.5)]);
    }

    #[test]
    fn timers_are_told_up_to_their_thresholds() {
        let recorded: Vec<_> =
            (1..=10).rev().map(|number| (Kind::Timer, f64::from(number), 1.0)).collect();
        check(
            &recorded,
            &[
                ("x.count", 10.0),
                ("x.count_ps", 1.0),
                ("x.lower", 1.0),
                ("x.upper", 10.0),
                ("x.sum", 55.0),
                ("x.mean", 5.5),
                ("x.mean_90", 5.0),
                ("x.upper_90", 9.0),
                ("x.mean_99_5", 5.5),
                ("x.upper_99_5", 10.0),
            ],
        );
    }

    #[test]
    fn gauges_change_and_sets_count_their_members_once() {
        let mut stats = Stats::default();
        assert!(stats.change_gauge("g", 2.5));
        assert!(stats.record(Kind::Gauge, "g", 10.0, 1.0));
        assert!(stats.change_gauge("g", -4.0));
        assert!(!stats.change_gauge("g", f64::NAN));
        for member in ["a", "b", "a"] {
            assert!(stats.add_member("s", member.as_bytes()));
        }
        let expected = [("g.".to_owned(), 6.0), ("s.count".to_owned(), 2.0)];
        let mut found = told(&mut stats, false);
        found.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(found, expected);
        assert_eq!(told(&mut stats, false).last().unwrap().1, 6.0);
    }

    #[test]
    fn histograms_have_a_median() {
        let recorded: Vec<_> =
            (1..=5).map(|number| (Kind::Histogram, f64::from(number), 1.0)).collect();
        let mut stats = Stats::default();
        for (kind, value, sampling) in recorded {
            stats.record(kind, "x", value, sampling);
        }
        let found = told(&mut stats, false);
        let median = found.iter().find(|(name, _)| name == "x.median").unwrap();
        assert_eq!(median.1, 3.0);
    }

    #[test]
    fn idle_names_are_told_as_zero_or_forgotten() {
        let mut stats = Stats::default();
        stats.record(Kind::Counter, "c", 1.0, 1.0);
        stats.record(Kind::Timer, "t", 1.0, 1.0);
        stats.record(Kind::Gauge, "g", 5.0, 1.0);
        told(&mut stats, false);
        let idle = [("c.rate", 0.0), ("c.count", 0.0), ("t.count", 0.0), ("t.count_ps", 0.0)];
        let found = told(&mut stats, false);
        assert_eq!(found.len(), 5);
        for ((name, value), (expected, zero)) in found.iter().zip(idle) {
            assert_eq!((name.as_str(), *value), (expected, zero));
        }
        assert_eq!(found[4], ("g.".to_owned(), 5.0));
        assert!(told(&mut stats, true).is_empty());
    }

    #[test]
    fn what_is_no_value_is_refused() {
        let mut stats = Stats::default();
        assert!(!stats.record(Kind::Gauge, "x", f64::NAN, 1.0));
        assert!(!stats.record(Kind::Counter, "x", 1.0, 0.0));
        assert!(!stats.record(Kind::Counter, "x", 1.0, f64::NAN));
        assert_eq!(stats, Stats::default());
    }

    #[test]
    fn full_timer_keeps_a_sample() {
        let mut stats = Stats::default();
        let many = u32::try_from(3 * MAX_VALUES).unwrap();
        for number in 0..many {
            stats.record(Kind::Timer, "x", f64::from(number), 1.0);
        }
        assert_eq!(stats.timers["x"].values.len(), MAX_VALUES);
        let found = told(&mut stats, false);
        assert_eq!(found[0].1, f64::from(many));
        let middle = f64::from(many) / 2.0;
        assert!((found[5].1 - middle).abs() < 1.0);
        let upper_90 = found[7].1 / f64::from(many);
        assert!((upper_90 - 0.9).abs() < 0.01, "{upper_90}");
    }
}
