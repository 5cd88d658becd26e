//! When an output takes loads that sends only now and then.

use std::time::Duration;
use std::time::Instant;

/// How many loads may have been made before the gate opened: those that wait in the queue, and one.
const STALE: u32 = 3;
/// A load below this size is the last for now, in bytes.
const SMALL: usize = 128 * 1024;
/// How long the gate stays open when nothing comes.
const LULL: Duration = Duration::from_millis(200);

/// Opens every `interval` until all that has gathered meanwhile has passed.
#[derive(Debug)]
pub(super) struct Gate {
    interval: Duration,
    opens: Instant,
    passed: u32,
}

impl Gate {
    /// A gate that is open now; none where there is no interval.
    pub(super) fn every(interval: Duration) -> Option<Gate> {
        (!interval.is_zero()).then(|| Gate { interval, opens: Instant::now(), passed: 0 })
    }

    /// When it opens, where it is closed.
    pub(super) fn opens(&self) -> Option<Instant> {
        (self.opens > Instant::now()).then_some(self.opens)
    }

    /// Notes that a load of so many bytes has passed.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.passed += 1;
        if self.passed >= STALE && bytes < SMALL {
            self.close();
        }
    }

    /// Closes after a while in which nothing has passed; a closed gate waits for ever.
    pub(super) async fn lull(&mut self) {
        if self.opens().is_some() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LULL).await;
        self.close();
    }

    fn close(&mut self) {
        self.passed = 0;
        self.opens = Instant::now() + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_behind_what_has_gathered() {
        let mut gate = Gate::every(Duration::from_mins(10)).unwrap();
        let mut check = |bytes, is_closed| {
            gate.pass(bytes);
            assert_eq!(gate.opens().is_some(), is_closed, "{bytes}");
        };
        check(10, false);
        check(10, false);
        check(SMALL, false);
        check(SMALL, false);
        check(10, true);
        assert!(Gate::every(Duration::ZERO).is_none());
    }
}
