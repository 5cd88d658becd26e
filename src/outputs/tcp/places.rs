//! Where an output may send to, and which of these places have failed lately.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crate::net::Connector;
use crate::outputs::rewind::Rewind;
use crate::plugin::Handover;
use crate::stdx::random::Random;

/// How long a place that has failed is tried last.
const AVOIDED: Duration = Duration::from_mins(1);

/// The places.
#[derive(Debug)]
pub(super) struct Places {
    connectors: Vec<Connector>,
    handover: Handover,
}

/// What one connection leaves for the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The addresses that have failed, and when.
    failed: Vec<(String, Instant)>,
    /// The address of whoever acknowledged last.
    pub(super) served_by: Option<String>,
    /// The journal turned out to have lost its end.
    pub(super) has_lost_its_end: bool,
    /// What may have been lost, where nobody acknowledges.
    pub(super) rewind: Rewind,
}

impl Places {
    pub(super) fn new(connectors: Vec<Connector>, handover: Handover) -> Places {
        Places { connectors, handover }
    }

    /// Whether there is more than one.
    pub(super) fn are_many(&self) -> bool {
        self.connectors.len() > 1
    }

    /// All places in the order in which they are to be tried: by chance, so that agents spread over
    /// them, and those last that have failed lately.
    pub(super) fn in_turn(&self) -> Vec<Connector> {
        let mut turn = self.connectors.clone();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let own = u64::from(std::process::id()) << 40;
        let mut random = Random::seeded(u64::from(now.subsec_nanos()) ^ now.as_secs() ^ own);
        for end in (1..turn.len()).rev() {
            let other = random.next() % (end as u64 + 1);
            turn.swap(end, usize::try_from(other).unwrap_or(end));
        }
        self.recall(|memory| {
            memory.failed.retain(|(_, when)| when.elapsed() < AVOIDED);
            turn.sort_by_key(|connector| {
                let address = connector.address().to_string();
                memory.failed.iter().find(|(failed, _)| *failed == address).map(|(_, when)| *when)
            });
        });
        turn
    }

    /// Notes that a place has failed.
    pub(super) fn note_failure(&self, address: &str) {
        self.recall(|memory| {
            memory.failed.retain(|(failed, _)| failed != address);
            memory.failed.push((address.to_owned(), Instant::now()));
        });
    }

    /// What was left by connections before.
    pub(super) fn recall<T>(&self, with: impl FnOnce(&mut Memory) -> T) -> T {
        self.handover.with(with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Address;
    use crate::net::StreamNet;

    #[test]
    fn a_place_that_has_failed_is_tried_last() {
        let connector = |port: u16| {
            let written = format!("127.0.0.1:{port}");
            Connector::new(Address::stream(StreamNet::Tcp, &written).unwrap())
        };
        let places = Places::new((1..6).map(connector).collect(), Handover::default());
        places.note_failure("127.0.0.1:2");
        places.note_failure("127.0.0.1:4");
        for _ in 0..20 {
            let turn = places.in_turn();
            let last: Vec<String> = turn[3..].iter().map(|one| one.address().to_string()).collect();
            assert_eq!(last, ["127.0.0.1:2", "127.0.0.1:4"]);
        }
    }
}
