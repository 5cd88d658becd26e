//! What the processors do: counts since the start, and shares since the last look.

use std::collections::BTreeMap;

use super::look::Report;
use super::look::finish;
use super::look::per_second;
use crate::formats::linux::cpu;
use crate::message::ArrayBuilder;
use crate::message::Value;

/// The counts of the last look, by name.
pub(super) type Seen = BTreeMap<String, Vec<u64>>;

pub(super) fn put(seen: &mut Seen, report: &mut Report<'_>) {
    let Some(text) = report.proc("stat") else { return };
    let all: Vec<_> = cpu::counts(&text).collect();
    let path = report.path("stat");
    let mut message = report.begin("stats.procstat");
    let mut values = ArrayBuilder::default();
    for counts in &all {
        values.clear();
        for value in &counts.values {
            values.push(Value::Double(*value as f64));
        }
        message.array(counts.name, "", &values);
    }
    message.string("FilePath", "", path.as_bytes());
    finish(message);
    for counts in all.iter().filter(|counts| counts.is_cpu()) {
        let before = seen.get(counts.name);
        let Some((shares, busy)) = before.and_then(|seen| cpu::shares(seen, &counts.values)) else {
            continue;
        };
        // What the kernel counts of all processors is told with them.
        let elapsed = report.elapsed.filter(|_| counts.name == "cpu");
        let mut message = report.begin("stats.cpu");
        message.string("cpu", "", counts.name.as_bytes()).double("busy", "%", busy);
        for (name, share) in cpu::STATES.iter().zip(shares) {
            message.double(name, "%", share);
        }
        if let Some(elapsed) = elapsed {
            for (name, field) in [
                ("ctxt", "context_switches_per_second"),
                ("intr", "interrupts_per_second"),
                ("processes", "forks_per_second"),
            ] {
                let now =
                    all.iter().find(|one| one.name == name).and_then(|one| one.values.first());
                let before = seen.get(name).and_then(|seen| seen.first());
                if let (Some(now), Some(before)) = (now, before) {
                    message.double(field, "1/s", per_second(*before, *now, elapsed));
                }
            }
        }
        finish(message);
    }
    *seen = all.into_iter().map(|counts| (counts.name.to_owned(), counts.values)).collect();
}
