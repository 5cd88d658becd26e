//! The pass: all filters of a thread that are level go over the next entries together; one that is
//! behind goes on alone.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use super::host::Host;
use super::host::Pace;
use super::keeping;
use super::recovery;
use super::thread::Thread;
use crate::journal::Body;
use crate::journal::Entry;
use crate::journal::Missing;
use crate::journal::Next;
use crate::journal::Position;
use crate::matcher::Matches;
use crate::pipeline::routing::Routing;
use crate::stdx::clock;

/// How long a filter that is behind goes on before the others have their turn, and the most one
/// filter of several may take of a stride before it leaves the pass.
const SLICE: Duration = Duration::from_millis(5);
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
    fn new(entry: Arc<Entry>, routing: &Routing) -> Read {
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
enum Turn {
    Over,
    /// It took more than its share.
    TooLong,
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
            if !self.hosts[index].is_meant(&stride) {
                self.hosts[index].pass_by(&last);
                continue;
            }
            self.hosts[index].begin();
            let turn = self.turn(index, &stride, (!is_alone).then_some(began));
            self.hosts[index].end();
            let now = Instant::now();
            let host = &mut self.hosts[index];
            host.spent += now - began;
            began = now;
            if matches!(turn, Turn::TooLong) {
                host.leave();
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

    /// Takes one filter over a stride; where it is not alone, `began` says since when it is at it.
    fn turn(&mut self, index: usize, stride: &[Read], began: Option<Instant>) -> Turn {
        let mut unlooked = 0;
        let position = self.hosts[index].position;
        let mut rest = &stride[stride.partition_point(|read| read.entry.position <= position)..];
        while !rest.is_empty() && self.hosts[index].pace == Pace::Level {
            let (entries, messages) = self.over(index, rest);
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

    /// Takes one filter over the first of these entries, or over several of them; tells how many,
    /// and how many messages there were for it.
    fn over(&mut self, index: usize, reads: &[Read]) -> (usize, usize) {
        let host = &mut self.hosts[index];
        let (entries, messages, done) = host.entries(reads, &self.routing, &mut self.outbox);
        if let Err(trouble) = done {
            keeping::recover(host, trouble, &self.journal, &self.keeper, &mut self.outbox);
        }
        self.outbox.append_if_full();
        (entries, messages)
    }

    /// Shares the CPU time of a stride out among the filters, by the time each has taken: asking
    /// the kernel for it around every filter would cost more than many of them do.
    fn share_out(&mut self, cpu: Duration) {
        let spent: Duration = self.hosts.iter().map(|host| host.spent).sum();
        let scale = (cpu.as_secs_f64() / spent.as_secs_f64().max(1e-9)).min(1.0);
        for host in &mut self.hosts {
            host.cpu += std::mem::take(&mut host.spent).mul_f64(scale);
        }
    }

    /// Reads what there is, at most [`STRIDE`] entries, and asks the matchers.
    fn stride(&mut self) -> Vec<Read> {
        let mut stride = Vec::new();
        let most = (self.hosts.len() / FILTERS_PER_ENTRY).clamp(1, STRIDE);
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

    /// Lets each filter that is behind go on for a slice; tells whether one moved.
    pub(super) fn catch_up(&mut self) -> bool {
        let mut is_moving = false;
        for index in 0..self.hosts.len() {
            match self.hosts[index].pace {
                Pace::Behind => {
                    let cpu = clock::thread_cpu();
                    self.hosts[index].begin();
                    is_moving |= self.slice(index);
                    self.hosts[index].end();
                    self.hosts[index].cpu += clock::thread_cpu().saturating_sub(cpu);
                }
                Pace::Paused(until) if Instant::now() >= until => {
                    let host = &mut self.hosts[index];
                    if let Err(error) = recovery::resume(host, &self.journal) {
                        let reason = format!("{error:#}");
                        recovery::pause(host, &reason, &self.journal, &mut self.outbox);
                    }
                    is_moving = true;
                }
                _ => {}
            }
        }
        is_moving
    }

    fn slice(&mut self, index: usize) -> bool {
        let until = Instant::now() + SLICE;
        let mut is_moving = false;
        while self.hosts[index].pace == Pace::Behind && Instant::now() < until {
            let host = &mut self.hosts[index];
            if host.position >= self.pass.position() {
                host.join();
                return true;
            }
            match host.reader.next() {
                Ok(Next::Entry(entry)) => {
                    is_moving = true;
                    self.over(index, &[Read::new(entry, &self.routing)]);
                }
                Ok(Next::Missed { first, last, why }) => {
                    report_missed(&host.plan.name, first, last, why);
                    host.position = last;
                }
                Ok(Next::Empty) => {
                    // Positions may have been left out, as after a crash.
                    let passed = host.reader.position();
                    is_moving |= passed > host.position;
                    host.position = host.position.max(passed);
                    break;
                }
                Err(error) => {
                    tracing::error!(filter = &*host.plan.name, %error, "cannot read the journal");
                    break;
                }
            }
        }
        self.has_moved |= is_moving;
        is_moving
    }
}

impl Host {
    /// Tells whether there may be anything to do for it.
    fn is_meant(&self, stride: &[Read]) -> bool {
        let is_tick = |read: &Read| matches!(read.entry.body, Body::Tick);
        stride.iter().any(|read| is_tick(read) || !read.of(self.row).is_empty())
    }

    /// Goes past entries that hold nothing for it.
    fn pass_by(&mut self, last: &Entry) {
        if self.pace == Pace::Level && self.position < last.position {
            self.position = last.position;
            self.time = last.time;
        }
    }

    fn begin(&mut self) {
        if let Some(filtering) = &mut self.filtering {
            filtering.begin();
        }
    }

    fn end(&mut self) {
        if let Some(filtering) = &mut self.filtering {
            filtering.end();
        }
    }

    /// Goes on alone from where it is.
    fn leave(&mut self) {
        if self.pace == Pace::Level {
            self.reader.seek(self.position);
            self.pace = Pace::Behind;
        }
    }

    /// Goes with the pass from here on.
    fn join(&mut self) {
        self.pace = Pace::Level;
        self.reader.rest();
        if let Some(filtering) = &mut self.filtering {
            filtering.widen(1);
        }
    }
}

fn report_missed(reader: &str, first: Position, last: Position, why: Missing) {
    tracing::error!(reader, first = first.0, last = last.0, ?why, "entries were missed");
}
