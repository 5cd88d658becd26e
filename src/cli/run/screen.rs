//! What is flowing, in one line on a terminal, written over every second.

use std::io::IsTerminal;
use std::io::Write;
use std::time::Instant;

use crate::pipeline::Status;

/// The line, where stderr is a terminal.
pub(super) struct Screen {
    is_shown: bool,
    last: Option<(Instant, u64, u64)>,
}

impl Screen {
    /// Shows nothing when stderr is no terminal, or `is_quiet`.
    pub(super) fn new(is_quiet: bool) -> Screen {
        Screen { is_shown: !is_quiet && std::io::stderr().is_terminal(), last: None }
    }

    /// Writes the line over the one before.
    pub(super) fn show(&mut self, status: &Status) {
        if !self.is_shown {
            return;
        }
        let now = Instant::now();
        let (in_rate, out_rate) = match self.last {
            None => (0.0, 0.0),
            Some((then, messages_in, messages_out)) => {
                let seconds = (now - then).as_secs_f64().max(1e-3);
                (
                    status.messages_in.saturating_sub(messages_in) as f64 / seconds,
                    status.messages_out.saturating_sub(messages_out) as f64 / seconds,
                )
            }
        };
        self.last = Some((now, status.messages_in, status.messages_out));
        let trouble = status.troubles.first().map_or(String::new(), |first| format!("  ! {first}"));
        let mut err = std::io::stderr().lock();
        let _ = write!(
            err,
            "\r\x1b[Kin {} ({in_rate:.0}/s)  injected {}  out {} ({out_rate:.0}/s)  lag {}  \
             alerts {}{trouble}",
            status.messages_in, status.injected, status.messages_out, status.lag, status.alerts,
        );
        let _ = err.flush();
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if self.is_shown {
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "\r\x1b[K");
        }
    }
}
