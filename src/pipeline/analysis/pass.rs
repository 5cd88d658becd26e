//! The pass: all filters of a thread that are level go over the next entries together.

use std::sync::Arc;
use std::time::Duration;

use super::host::Host;
use super::host::Pace;
use super::keeping;
use super::thread::Thread;
use crate::journal::Body;
use crate::journal::Entry;
use crate::journal::Missing;
use crate::journal::Next;
use crate::journal::Position;
use crate::matcher::Matches;
use crate::pipeline::routing::Routing;
use crate::stdx::clock;
use crate::stdx::sync::Instant;

/// How long filters that are behind go on before the others have their turn, and the most one
/// filter of several may take of a stride before it leaves them.
pub(super) const SLICE: Duration = Duration::from_millis(5);
/// At most so many entries are read before the filters run over them.
const STRIDE: usize = 32;
/// A stride is an entry longer for every so many filters: few filters find the messages in the
/// processor's cache when it is short, many find their states there when it is long. Measured with
/// 25 and 500 filters a thread, the other way round costs a third more.
const FILTERS_PER_ENTRY: usize = 16;
/// A filter's time in a stride is looked at every so many messages.
const MESSAGES_BETWEEN_LOOKS: usize = 8;
/// The pass looks for due snapshots every so many entries.
const ENTRIES_BETWEEN_LOOKS: usize = 64;

/// An entry, and what the matchers say of it.
pub(super) struct Read {
    pub(super) entry: Arc<Entry>,
    matches: Option<Arc<Matches>>,
}

impl Read {
    pub(super) fn new(entry: Arc<Entry>, routing: &Routing) -> Read {
        let matches = entry.batch().map(|batch| routing.matches(batch));
        Read { entry, matches }
    }

    /// The messages for the filter in this row.
    pub(super) fn of(&self, row: Option<usize>) -> &[u16] {
        match (&self.matches, row) {
            (Some(matches), Some(row)) => matches.of(row),
            _ => &[],
        }
    }
}

/// How a filter's turn in a stride ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Over,
    /// It took more than its share.
    TooLong,
    /// It failed, and is somewhere else now.
    Failed,
}

impl Thread {
    /// Takes all filters that are level over the next entries; tells whether there was one.
    ///
    /// One filter goes over all of them before the next: with many filters each state is fetched
    /// into the processor's cache once in a stride rather than once an entry.
    pub(super) fn pass_on(&mut self) -> bool {
        let stride = self.stride();
        let Some(last) = stride.last().map(|read| read.entry.clone()) else { return false };
        let is_alone = self.hosts.len() == 1;
        let cpu = clock::thread_cpu();
        let mut began = Instant::now();
        for index in 0..self.hosts.len() {
            if self.hosts[index].pace == Pace::Level
                && self.turn(index, &stride, &mut began, is_alone) == Turn::TooLong
            {
                self.hosts[index].leave();
            }
        }
        self.share_out(clock::thread_cpu().saturating_sub(cpu));
        self.since_look += stride.len();
        let has_tick = stride.iter().any(|read| matches!(read.entry.body, Body::Tick));
        if has_tick || self.since_look >= ENTRIES_BETWEEN_LOOKS {
            self.since_look = 0;
            self.look();
        }
        self.last = Some(last);
        true
    }

    /// Takes one filter over a stride, for as long as it may unless it is alone; moves `began` from
    /// when that began to when it ended.
    pub(super) fn turn(
        &mut self,
        index: usize,
        stride: &[Read],
        began: &mut Instant,
        is_alone: bool,
    ) -> Turn {
        let host = &mut self.hosts[index];
        if !host.is_meant(stride) {
            host.pass_by(stride);
            return Turn::Over;
        }
        host.begin();
        let turn = self.go_over(index, stride, (!is_alone).then_some(*began));
        let host = &mut self.hosts[index];
        host.end();
        let now = Instant::now();
        host.spent += now - *began;
        *began = now;
        turn
    }

    fn go_over(&mut self, index: usize, stride: &[Read], began: Option<Instant>) -> Turn {
        let mut unlooked = 0;
        let position = self.hosts[index].position;
        let mut rest = &stride[stride.partition_point(|read| read.entry.position <= position)..];
        while !rest.is_empty() {
            let host = &mut self.hosts[index];
            let (entries, messages, done) = host.entries(rest, &self.routing, &mut self.outbox);
            let has_failed = done.is_err();
            if let Err(trouble) = done {
                keeping::recover(host, trouble, &self.journal, &self.keeper, &mut self.outbox);
            }
            self.outbox.append_if_full();
            if has_failed {
                return Turn::Failed;
            }
            rest = &rest[entries..];
            unlooked += messages;
            if unlooked >= MESSAGES_BETWEEN_LOOKS
                && let Some(began) = began
            {
                unlooked = 0;
                if began.elapsed() > SLICE {
                    return Turn::TooLong;
                }
            }
        }
        Turn::Over
    }

    /// Shares the CPU time of a stride out among the filters, by the time each has taken: asking
    /// the kernel for it around every filter would cost more than many of them do.
    pub(super) fn share_out(&mut self, cpu: Duration) {
        let spent: Duration = self.hosts.iter().map(|host| host.spent).sum();
        let scale = (cpu.as_secs_f64() / spent.as_secs_f64().max(1e-9)).min(1.0);
        for host in &mut self.hosts {
            host.cpu += std::mem::take(&mut host.spent).mul_f64(scale);
        }
    }

    /// Reads what there is, at most [`STRIDE`] entries, and asks the matchers.
    fn stride(&mut self) -> Vec<Read> {
        let mut stride = Vec::new();
        let most = longest_stride(self.hosts.len());
        while stride.len() < most {
            match self.pass.next() {
                Ok(Next::Entry(entry)) => stride.push(Read::new(entry, &self.routing)),
                Ok(Next::Empty) => break,
                Ok(Next::Missed { first, last, why }) => {
                    for host in self.hosts.iter().filter(|host| host.pace == Pace::Level) {
                        let first = first.max(host.position.next());
                        report_missed(&host.plan.name, first, last, why);
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "cannot read the journal");
                    break;
                }
            }
        }
        stride
    }
}

impl Host {
    /// Tells whether there may be anything to do for it.
    fn is_meant(&self, stride: &[Read]) -> bool {
        let is_tick = |read: &Read| matches!(read.entry.body, Body::Tick);
        stride.iter().any(|read| is_tick(read) || !read.of(self.row).is_empty())
    }

    /// Goes past entries that hold nothing for it.
    fn pass_by(&mut self, stride: &[Read]) {
        if let Some(Read { entry, .. }) = stride.last()
            && self.position < entry.position
        {
            self.position = entry.position;
            self.time = entry.time;
        }
    }

    pub(super) fn begin(&mut self) {
        if let Some(filtering) = &mut self.filtering {
            filtering.begin();
        }
    }

    pub(super) fn end(&mut self) {
        if let Some(filtering) = &mut self.filtering {
            filtering.end();
        }
    }

    /// Goes on alone from where it is.
    fn leave(&mut self) {
        if self.pace == Pace::Level {
            self.reader.seek(self.position);
            self.pace = Pace::Behind;
            self.is_slow = true;
        }
    }

    /// Goes with the pass from here on.
    pub(super) fn join(&mut self) {
        self.pace = Pace::Level;
        self.is_slow = false;
        self.reader.rest();
        if let Some(filtering) = &mut self.filtering {
            filtering.widen(1);
        }
    }
}

/// How many entries so many filters go over at a time, at most.
pub(super) fn longest_stride(filters: usize) -> usize {
    (filters / FILTERS_PER_ENTRY).clamp(1, STRIDE)
}

pub(super) fn report_missed(reader: &str, first: Position, last: Position, why: Missing) {
    tracing::error!(reader, first = first.0, last = last.0, ?why, "entries were missed");
}
