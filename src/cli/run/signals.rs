//! What the operating system, and people through it, ask of the engine.

use tokio::signal::unix::Signal as Listener;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::admin::Asked;
use crate::admin::Wish;

/// Something that is asked for.
pub(super) enum Signal {
    /// SIGINT or SIGTERM: stop.
    Stop,
    /// SIGHUP: read the configuration again and open files anew.
    Hangup,
    /// SIGUSR1: report.
    Report,
    /// A script has changed.
    Scripts,
    /// A request over the control socket or the admin port.
    Asked(Asked),
}

impl Signal {
    /// Whether it asks to read the configuration again.
    pub(super) fn is_reload(&self) -> bool {
        match self {
            Signal::Hangup => true,
            Signal::Asked(asked) => matches!(asked.wish, Wish::Reload),
            Signal::Stop | Signal::Report | Signal::Scripts => false,
        }
    }
}

/// All signals that are listened for.
pub(super) struct Signals {
    interrupt: Listener,
    terminate: Listener,
    hangup: Listener,
    report: Listener,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            report: signal(SignalKind::user_defined1())?,
        })
    }

    /// The next signal.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Hangup,
            _ = self.report.recv() => Signal::Report,
        }
    }

    /// Resolves when a stop is asked for once more.
    pub(super) async fn again(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
