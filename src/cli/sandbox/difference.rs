//! What only one of two versions has made, for people.

use std::time::Duration;

use super::table::short;
use crate::pipeline::Cost;
use crate::pipeline::Only;
use crate::pipeline::SandboxStatus;
use crate::stdx::size;

/// The differences of all filters that have a version tried beside them.
pub(super) fn of(sandboxes: &[SandboxStatus]) -> String {
    sandboxes.iter().map(of_one).collect::<Vec<_>>().join("\n")
}

fn of_one(sandbox: &SandboxStatus) -> String {
    let (Some(shadow), Some(found)) = (&sandbox.shadow, &sandbox.difference) else {
        return String::new();
    };
    let running = short(&sandbox.version);
    let shadow = short(shadow);
    let mut out = format!("{}: {running} runs, {shadow} is tried\n", sandbox.name);
    if let Some(reason) = &found.ended {
        out.push_str(&format!("  {shadow} HAS ENDED: {reason}\n"));
    }
    out.push_str(&format!("  both made the same {} messages\n", found.same));
    for (version, only) in [(running, &found.only_live), (shadow, &found.only_shadow)] {
        out.push_str(&only_one(version, only));
    }
    for (version, cost) in [(running, &found.live), (shadow, &found.shadow)] {
        out.push_str(&costs(version, cost));
    }
    out
}

fn only_one(version: &str, only: &Only) -> String {
    let Only { messages, alerts, samples } = only;
    let mut out = format!("  {version} alone made {messages} messages, {alerts} of them alerts\n");
    // A timer may have made the same over and over.
    let mut counted: Vec<(&str, u32)> = Vec::new();
    for sample in samples {
        match counted.iter_mut().find(|(text, _)| text == sample) {
            Some((_, count)) => *count += 1,
            None => counted.push((sample, 1)),
        }
    }
    for (sample, count) in counted {
        let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
        out.push_str(&format!("    {sample}{times}\n"));
    }
    out
}

fn costs(version: &str, cost: &Cost) -> String {
    let cpu = Duration::from_nanos(cost.cpu_ns).as_secs_f64();
    let memory = size::text(cost.memory_bytes);
    let Cost { injected, failed, .. } = cost;
    format!(
        "  {version} took {cpu:.2}s CPU and {memory}, injected {injected} and set {failed} aside\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Difference;

    #[test]
    fn a_difference_names_both_versions_and_shows_samples() {
        let only_shadow =
            Only { messages: 3, alerts: 1, samples: vec!["heka.sandbox-output too many".into()] };
        let samples = ["x", "y", "x"].map(str::to_owned).to_vec();
        let only_live = Only { messages: 3, alerts: 0, samples };
        let difference = Difference {
            same: 7,
            only_live,
            only_shadow,
            ended: Some("it reached a limit".into()),
            ..Difference::default()
        };
        let shown = of(&[SandboxStatus {
            name: "count".into(),
            version: "0011223344".into(),
            shadow: Some("aabbccddee".into()),
            difference: Some(difference),
            ..SandboxStatus::default()
        }]);
        let expected = "count: 00112233 runs, aabbccdd is tried\n  \
            aabbccdd HAS ENDED: it reached a limit\n  both made the same 7 messages\n  \
            00112233 alone made 3 messages, 0 of them alerts\n    \
            x (2 times)\n    y\n  \
            aabbccdd alone made 3 messages, 1 of them alerts\n    \
            heka.sandbox-output too many\n  \
            00112233 took 0.00s CPU and 0 B, injected 0 and set 0 aside\n  \
            aabbccdd took 0.00s CPU and 0 B, injected 0 and set 0 aside\n";
        assert_eq!(shown, expected);
    }
}
