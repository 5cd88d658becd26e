//! Messages about agents, for filters to alert on.

use std::sync::Arc;
use std::time::Duration;

use crate::message::Batch;
use crate::message::Source;
use crate::message::Uuids;
use crate::plugin::InputContext;

/// Stands in the name of a source before an agent.
const AGENT: &str = "agent";
/// The severities of warnings and notices.
const WARNING: i32 = 4;
const NOTICE: i32 = 5;

/// What there is to report of an agent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Report {
    /// It was not heard of for so long.
    Silent { after: Duration },
    /// It is heard of again.
    Heard,
    /// Two machines have its name and its journal.
    Twin,
    /// These entries of its journal did not come and will not.
    Gap { first: u64, last: u64, reason: &'static str },
}

/// The source that an agent is: its name, the name of its output and the id of its journal.
pub(super) fn source(cx: &InputContext, name: &str, stream: &str, journal: [u8; 16]) -> Source {
    let journal = u128::from_be_bytes(journal);
    cx.source(&format!("{AGENT}/{}/{}/{journal:032x}", plain(name), plain(stream)))
}

/// The source that a second machine with the journal of `source` is.
pub(super) fn twin(source: &Source, run: u64) -> Source {
    Source::from(format!("{source}+{run:016x}"))
}

/// What is kept with the position of an agent: its name, and the run that was sent by.
pub(super) fn detail(name: &str, run: u64) -> Arc<[u8]> {
    Arc::from(format!("{name} {run:016x}").as_bytes())
}

/// The run that a position is of; 0 is unknown.
pub(super) fn run_of(detail: &[u8]) -> u64 {
    let text = std::str::from_utf8(detail).unwrap_or_default();
    let run = text.rsplit_once(' ').map(|(_, run)| run).filter(|run| run.len() == 16);
    run.and_then(|run| u64::from_str_radix(run, 16).ok()).unwrap_or_default()
}

/// A name without what parts names.
fn plain(name: &str) -> String {
    name.replace(['/', ':'], "_")
}

/// Tells whether a source is an agent.
pub(super) fn is_agent(source: &str) -> bool {
    parts(source).is_some()
}

/// Tells whether two sources are the same output of the same agent, with another journal.
pub(super) fn is_renewed(old: &str, new: &str) -> bool {
    let (Some(old), Some(new)) = (parts(old), parts(new)) else { return false };
    old[..2] == new[..2] && old[2] != new[2]
}

/// Name, output and journal of an agent.
fn parts(source: &str) -> Option<[&str; 3]> {
    let (_, part) = source.rsplit_once(':')?;
    let [AGENT, name, stream, journal] = part.split('/').collect::<Vec<_>>()[..] else {
        return None;
    };
    Some([name, stream, journal])
}

/// Appends a message that reports something of an agent.
///
/// # Errors
/// When the engine stops.
pub(super) async fn inject(
    cx: &InputContext,
    source: &Source,
    report: Report,
) -> anyhow::Result<()> {
    let [name, stream, journal] = parts(source).unwrap_or_default();
    let (kind, severity, text) = match report {
        Report::Silent { after } => (
            "heka.agent-silent",
            WARNING,
            format!("agent {name} ({stream}) was not heard of for {after:?}"),
        ),
        Report::Heard => {
            ("heka.agent-heard", NOTICE, format!("agent {name} ({stream}) is heard of again"))
        }
        Report::Twin => (
            "heka.agent-twin",
            WARNING,
            format!(
                "two machines are agent {name} ({stream}) with one journal, as copies of an image \
                 are: what both send is taken, some of it twice; stop one, remove its `base_dir` \
                 and give it a `hostname` of its own"
            ),
        ),
        Report::Gap { first, last, reason } => (
            "heka.agent-gap",
            WARNING,
            format!("agent {name} ({stream}): entries {first} to {last} of its journal {reason}"),
        ),
    };
    let mut batch = Batch::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
    let mut message = batch.begin();
    message.uuid(&Uuids::default().make()).timestamp(now);
    message.message_type(kind.as_bytes()).logger(cx.name.as_bytes()).severity(severity);
    message.payload(text.as_bytes()).pid(cx.engine.pid).hostname(cx.engine.hostname.as_bytes());
    message.string("agent", "", name.as_bytes());
    message.string("stream", "", stream.as_bytes());
    message.string("journal", "", journal.as_bytes());
    if let Report::Gap { first, last, reason } = report {
        let number = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
        message.integer("first", "", number(first)).integer("last", "", number(last));
        message.string("reason", "", reason.as_bytes());
    }
    message.finish()?;
    cx.stream(cx.origin(kind), None).await?.messages(batch).await
}
