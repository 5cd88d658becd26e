//! The last number of each series, to be shown.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use crate::formats::prometheus::Sample;

/// What is shown: series by the family they belong to, whose lines stand together.
#[derive(Debug, Default)]
pub(super) struct Shown {
    families: BTreeMap<String, Family>,
    count: usize,
}

#[derive(Debug, Default)]
struct Family {
    kind: String,
    /// By the labels, as they are written.
    series: BTreeMap<String, (f64, Instant)>,
}

impl Shown {
    /// Keeps a number in the place of the one before; `false` when there are too many series.
    pub(super) fn keep(&mut self, sample: &Sample<'_>, now: Instant, max_series: usize) -> bool {
        let labels = labels(sample);
        let known = self.families.get_mut(&*sample.name);
        if let Some(last) = known.and_then(|family| family.series.get_mut(&labels)) {
            *last = (sample.value, now);
            return true;
        }
        if self.count >= max_series {
            return false;
        }
        let family = self.families.entry(sample.name.to_string()).or_default();
        if family.kind.is_empty() {
            sample.kind.clone_into(&mut family.kind);
        }
        family.series.insert(labels, (sample.value, now));
        self.count += 1;
        true
    }

    /// All that has come since `expire_after`, in the text format; the rest goes.
    pub(super) fn text(&mut self, now: Instant, expire_after: Duration) -> String {
        let mut text = String::new();
        let mut count = 0;
        self.families.retain(|name, family| {
            let is_fresh = |at: &Instant| now.saturating_duration_since(*at) < expire_after;
            family.series.retain(|_, (_, at)| is_fresh(at));
            count += family.series.len();
            if !family.series.is_empty() && !family.kind.is_empty() {
                text.push_str(&format!("# TYPE {name} {}\n", family.kind));
            }
            for (labels, (value, _)) in &family.series {
                let value = match *value {
                    f64::INFINITY => "+Inf".to_owned(),
                    f64::NEG_INFINITY => "-Inf".to_owned(),
                    value => value.to_string(),
                };
                text.push_str(&format!("{name}{labels} {value}\n"));
            }
            !family.series.is_empty()
        });
        self.count = count;
        text
    }
}

/// The labels in order, in braces; empty where there is none.
fn labels(sample: &Sample<'_>) -> String {
    let mut labels: Vec<_> = sample.labels.iter().collect();
    if labels.is_empty() {
        return String::new();
    }
    labels.sort();
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let written: Vec<_> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", written.join(","))
}
