//! The answer to a command that changes something, and who may have it obeyed.
//!
//! Who has waited too long goes on as if nothing had been changed. So a thread begins with a command
//! only while somebody waits, and who waits gives up only while it has not been begun.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use crate::stdx::sync::atomic::AtomicU8;
use crate::stdx::sync::channel;
use crate::stdx::sync::channel::Receiver;
use crate::stdx::sync::channel::Sender;

/// How much longer is waited for what was begun.
const BEGUN: Duration = Duration::from_mins(1);

const OPEN: u8 = 0;
const IS_BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

/// The end of the thread that is to obey.
pub(super) struct Reply<T> {
    tx: Sender<T>,
    state: Arc<AtomicU8>,
}

/// The end of whoever waits.
pub(super) struct Awaited<T> {
    rx: Receiver<T>,
    state: Arc<AtomicU8>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Silence {
    /// It was not begun, and will not be.
    #[error("the analysis thread does not answer")]
    NotBegun,
    /// It was begun and does not come to an end.
    #[error("the analysis thread does not come to an end with it")]
    Begun,
    /// The thread is gone.
    #[error("the analysis thread has ended")]
    Ended,
}

/// Both ends.
pub(super) fn pair<T>() -> (Reply<T>, Awaited<T>) {
    let (tx, rx) = channel::bounded(1);
    let state = Arc::new(AtomicU8::new(OPEN));
    (Reply { tx, state: state.clone() }, Awaited { rx, state })
}

fn change(state: &AtomicU8, to: u8) -> bool {
    state.compare_exchange(OPEN, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

impl<T> Reply<T> {
    /// Tells whether the command is to be obeyed still.
    pub(super) fn begin(&self) -> bool {
        change(&self.state, IS_BEGUN)
    }

    pub(super) fn send(self, answer: T) {
        let _ = self.tx.send(answer);
    }
}

impl<T> Awaited<T> {
    /// The answer, if the command was begun within `patience`.
    pub(super) fn wait(self, patience: Duration) -> Result<T, Silence> {
        match self.rx.recv_timeout(patience) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Disconnected) => Err(Silence::Ended),
            Err(RecvTimeoutError::Timeout) if change(&self.state, GIVEN_UP) => {
                Err(Silence::NotBegun)
            }
            Err(RecvTimeoutError::Timeout) => self.rx.recv_timeout(BEGUN).map_err(|error| {
                let is_over = error == RecvTimeoutError::Timeout;
                if is_over { Silence::Begun } else { Silence::Ended }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_is_not_obeyed() {
        let (reply, awaited) = pair::<u32>();
        assert_eq!(awaited.wait(Duration::ZERO), Err(Silence::NotBegun));
        assert!(!reply.begin());
    }

    #[test]
    fn what_was_begun_is_waited_for() {
        let (reply, awaited) = pair();
        assert!(reply.begin());
        let waiting = std::thread::spawn(move || awaited.wait(Duration::ZERO));
        reply.send(5);
        assert_eq!(waiting.join().unwrap(), Ok(5));
        let (reply, awaited) = pair::<u32>();
        drop(reply);
        assert_eq!(awaited.wait(Duration::ZERO), Err(Silence::Ended));
    }
}
