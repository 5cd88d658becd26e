//! Syslog, as RFC 3164 describes what is met and RFC 5424 says what should be.
//!
//! | part | RFC 3164 | RFC 5424 |
//! | --- | --- | --- |
//! | priority | `<34>`, left out in files | `<34>1` |
//! | time | `Oct 11 22:14:15`, with a year or a fraction, RFC 3339, left out | RFC 3339 or `-` |
//! | host | left out by programs of the same machine | name or `-` |
//! | program | `su:`, `sshd[123]:`, left out | name, process and kind of message, each may be `-` |
//! | data | none | `[id name="value" …]…` or `-` |
//! | text | the rest | the rest, a byte order mark before it or not |
//!
//! Of RFC 3164 there are as many variants as programs: what Cisco's devices put around the time, what
//! AIX puts before the host, a host that is left out, and a message of RFC 5424 in one of RFC 3164, as
//! rsyslog writes what it has not understood. Nothing is refused: what has no header is text.
//!
//! [`framing`] has how messages follow each other in a stream (RFC 6587).

pub mod framing;

mod clock;
mod data;
mod modern;
mod traditional;

#[cfg(test)]
mod tests;

pub use data::Parameter;
pub use data::Parameters;

use chrono_tz::Tz;

use clock::Clock;

/// The largest priority: facility 23, severity 7.
const MAX_PRIORITY: u32 = 191;

/// What a message says; what it does not is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line<'a> {
    /// Eight times the facility, and the severity.
    pub priority: Option<u8>,
    /// Nanoseconds since the epoch.
    pub time: Option<i64>,
    /// The host that wrote it.
    pub hostname: &'a [u8],
    /// The program that wrote it.
    pub program: &'a [u8],
    /// The process, a number as a rule.
    pub process: &'a [u8],
    /// The kind of message.
    pub message_id: &'a [u8],
    /// The elements of structured data as they are written; see [`Line::parameters`].
    pub data: &'a [u8],
    /// What it says.
    pub text: &'a [u8],
}

impl<'a> Line<'a> {
    /// The severity, 0 to 7: emergency to debug.
    pub fn severity(&self) -> Option<i32> {
        self.priority.map(|priority| i32::from(priority & 7))
    }

    /// The facility, 0 to 23.
    pub fn facility(&self) -> Option<i64> {
        self.priority.map(|priority| i64::from(priority >> 3))
    }

    /// Goes through the structured data.
    pub fn parameters(&self) -> Parameters<'a> {
        Parameters::of(self.data)
    }

    /// Tells whether there was anything before the text.
    pub fn has_header(&self) -> bool {
        self.priority.is_some() || self.time.is_some()
    }
}

/// Reads messages, one after the other; times of the same second are read once.
#[derive(Debug)]
pub struct Reader {
    clock: Clock,
}

impl Reader {
    /// Reads times that name no zone as those of `zone`.
    #[must_use]
    pub fn new(zone: Tz) -> Reader {
        Reader { clock: Clock::new(zone) }
    }

    /// Reads one message; `now`, in nanoseconds since the epoch, gives the year that a time leaves
    /// out. Line ends and zeros behind it are not part of it.
    pub fn read<'a>(&mut self, bytes: &'a [u8], now: i64) -> Line<'a> {
        let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0));
        let bytes = &bytes[..end.map_or(0, |last| last + 1)];
        let (priority, rest) = priority(bytes);
        let mut line = Line { priority, ..Line::default() };
        let is_modern = priority.is_some() && modern::read(rest, &mut line);
        if !is_modern {
            traditional::read(rest, now, &mut self.clock, &mut line);
        }
        line
    }
}

/// Takes the priority off the start.
fn priority(bytes: &[u8]) -> (Option<u8>, &[u8]) {
    let [b'<', rest @ ..] = bytes else { return (None, bytes) };
    let mut number = 0u32;
    for (at, byte) in rest.iter().enumerate().take(4) {
        match byte {
            b'0'..=b'9' => number = number * 10 + u32::from(byte - b'0'),
            b'>' if at > 0 && number <= MAX_PRIORITY => {
                return (u8::try_from(number).ok(), &rest[at + 1..]);
            }
            _ => break,
        }
    }
    (None, bytes)
}

/// The bytes without the spaces they begin with.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().take_while(|byte| **byte == b' ').count();
    &bytes[spaces..]
}
