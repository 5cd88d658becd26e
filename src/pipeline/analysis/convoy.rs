//! Filters that are behind: those that are at the same place go on together, in slices.
//!
//! After a crash all filters of a thread are behind, and would each read and match the same entries.
//! So those ahead wait for those that are not far behind them, unless these are slow.

use super::host::Pace;
use super::pass::Read;
use super::pass::SLICE;
use super::pass::Turn;
use super::pass::longest_stride;
use super::pass::report_missed;
use super::recovery;
use super::thread::Thread;
use crate::journal::Next;
use crate::journal::Position;
use crate::stdx::clock;
use crate::stdx::sync::Instant;

/// So many entries behind another is not far.
const NEAR: u64 = 16 << 10;

impl Thread {
    /// Lets the filters that are behind go on, for a slice of time each place they are at; tells
    /// whether one moved.
    pub(super) fn catch_up(&mut self) -> bool {
        let mut is_moving = self.resume();
        let is_behind = |index: &usize| self.hosts[*index].pace == Pace::Behind;
        let mut behind: Vec<usize> = (0..self.hosts.len()).filter(is_behind).collect();
        behind.sort_by_key(|index| self.hosts[*index].position);
        let mut rest = &behind[..];
        let mut coming: Option<Position> = None;
        while let Some(leader) = rest.first() {
            let position = self.hosts[*leader].position;
            if coming.is_some_and(|coming| position.0.saturating_sub(coming.0) <= NEAR) {
                rest = &rest[1..];
                continue;
            }
            let cpu = clock::thread_cpu();
            let (members, has_moved) = self.go_on(rest);
            self.share_out(clock::thread_cpu().saturating_sub(cpu));
            let hosts = rest[..members].iter().map(|index| &self.hosts[*index]);
            let quick = hosts.filter(|host| host.pace == Pace::Behind && !host.is_slow);
            coming = quick.map(|host| host.position).max().filter(|_| has_moved).or(coming);
            rest = &rest[members..];
            is_moving |= has_moved;
        }
        self.has_moved |= is_moving;
        is_moving
    }

    /// Starts filters again whose pause is over; tells whether there was one.
    fn resume(&mut self) -> bool {
        let mut is_moving = false;
        for host in &mut self.hosts {
            if let Pace::Paused(until) = host.pace
                && Instant::now() >= until
            {
                if let Err(error) = recovery::resume(host, &self.journal) {
                    let reason = format!("{error:#}");
                    recovery::pause(host, &reason, &self.journal, &mut self.outbox);
                }
                is_moving = true;
            }
        }
        is_moving
    }

    /// Takes the first of these filters on for a slice, and with it those that it reaches; tells
    /// how many these are, and whether one moved. One that takes too long, or fails, is left where
    /// it is.
    fn go_on(&mut self, behind: &[usize]) -> (usize, bool) {
        let until = Instant::now() + SLICE;
        let leader = &mut self.hosts[behind[0]];
        if leader.reader.position() != leader.position {
            leader.reader.seek(leader.position);
        }
        let (mut members, mut is_moving) = (1, false);
        loop {
            let at = self.hosts[behind[0]].reader.position();
            if at >= self.pass.position() {
                self.join(&behind[..members], at);
                return (members, true);
            }
            let stride = self.stride_of(behind, longest_stride(members));
            let last = stride.last().map_or(at, |read| read.entry.position);
            // Positions may have been left out, as after a crash.
            let passed = self.hosts[behind[0]].reader.position();
            let is_reached = |index: &&usize| self.hosts[**index].position < passed;
            members += behind[members..].iter().take_while(is_reached).count();
            self.take_over(&behind[..members], at, &stride);
            self.pass_to(&behind[..members], last, passed);
            is_moving |= passed > at;
            if stride.is_empty() || Instant::now() >= until {
                return (members, is_moving);
            }
        }
    }

    /// Has those of these filters that have come to `at` go with the pass.
    fn join(&mut self, members: &[usize], at: Position) {
        for &index in members {
            let host = &mut self.hosts[index];
            if host.pace == Pace::Behind && host.position >= at {
                host.join();
            }
        }
    }

    /// Takes those of these filters that have come to `at` over a stride.
    fn take_over(&mut self, members: &[usize], at: Position, stride: &[Read]) {
        let is_alone = members.len() == 1;
        let mut began = Instant::now();
        for &index in members {
            let host = &mut self.hosts[index];
            if host.pace == Pace::Behind && host.position >= at && !stride.is_empty() {
                if index != members[0] && host.reader.position() == host.position {
                    // Somebody else reads for it now.
                    host.reader.rest();
                }
                let turn = self.turn(index, stride, &mut began, is_alone);
                self.hosts[index].is_slow |= turn != Turn::Over;
            }
        }
    }

    /// Moves those of these filters that have come to `from` on to `to`: between them is no entry.
    fn pass_to(&mut self, members: &[usize], from: Position, to: Position) {
        for &index in members {
            let host = &mut self.hosts[index];
            if host.pace == Pace::Behind && host.position >= from {
                host.position = host.position.max(to);
            }
        }
    }

    /// Reads the next entries, `most` at most, with the reader of the first of these filters.
    fn stride_of(&mut self, behind: &[usize], most: usize) -> Vec<Read> {
        let mut stride = Vec::new();
        while stride.len() < most {
            let reader = &mut self.hosts[behind[0]].reader;
            if reader.position() >= self.pass.position() {
                break;
            }
            match reader.next() {
                Ok(Next::Entry(entry)) => stride.push(Read::new(entry, &self.routing)),
                Ok(Next::Missed { first, last, why }) => {
                    let hosts = behind.iter().map(|index| &self.hosts[*index]);
                    for host in hosts.filter(|host| (first..=last).contains(&host.position.next()))
                    {
                        report_missed(&host.plan.name, host.position.next(), last, why);
                    }
                }
                Ok(Next::Empty) => break,
                Err(error) => {
                    let filter = &*self.hosts[behind[0]].plan.name;
                    tracing::error!(filter, %error, "cannot read the journal");
                    break;
                }
            }
        }
        stride
    }
}
