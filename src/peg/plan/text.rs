//! Plans texts into which captures are put: of substitutions and of formats.

use super::Action;
use super::Planner;
use super::Taken;
use super::Task;
use super::narrow;
use crate::peg::Error;
use crate::peg::program::Kind;
use crate::peg::tree::Capture;
use crate::peg::tree::Kept;

impl Planner<'_> {
    /// Plans what a capture adds to a text; `number` is that of the capture in a format.
    pub(super) fn text_of(
        &mut self,
        index: u32,
        taken: Taken,
        number: Option<u32>,
    ) -> Result<(), Error> {
        let Taken { at, length, inside: (next, end), .. } = taken;
        match taken.kind {
            Kind::Of(Capture::Substitution) => {
                self.later(Task::Text { next, end, from: at, to: at + length });
            }
            Kind::Of(Capture::Format) => self.format(taken)?,
            Kind::Of(Capture::Simple) if next == end => self.add(at, at + length),
            _ => {
                self.act(Action::Mark);
                let then = match number {
                    Some(number) => Action::AddCapture(number),
                    None => Action::AddValue { at, length },
                };
                self.later(Task::Do(then));
                self.value(index, taken)?;
            }
        }
        Ok(())
    }

    /// Plans a text with captures put into it.
    fn format(&mut self, taken: Taken) -> Result<(), Error> {
        let Some(Kept::Text { at: start, len }) =
            self.program.constants.get(taken.constant as usize).copied()
        else {
            return Ok(());
        };
        let form = self.program.slice(start, len);
        // A long text costs as much as many steps.
        self.fuel -= i64::try_from(form.len() / 16).unwrap_or(i64::MAX);
        let captures = self.numbered(taken);
        // Tasks are done from the last to the first, so they are noted in order and turned round.
        let base = self.plan.tasks.len();
        let mut literal = 0;
        let mut place = 0;
        let mut parts: Vec<Part> = Vec::new();
        while let Some(at) = memchr::memchr(b'%', &form[place..]) {
            place += at;
            if place + 1 == form.len() {
                break;
            }
            if parts.len() > self.plan.max_actions {
                return Err(Error::TooManyCaptures);
            }
            parts.push(Part::Literal(literal, place));
            let next = form[place + 1];
            if next.is_ascii_digit() {
                parts.push(Part::Capture(u32::from(next - b'0')));
                literal = place + 2;
            } else {
                literal = place + 1;
            }
            place += 2;
        }
        parts.push(Part::Literal(literal, form.len()));
        for part in parts {
            match part {
                Part::Literal(from, to) if from < to => {
                    let (at, length) = (start + narrow(from), narrow(to - from));
                    self.later(Task::Do(Action::AddConstant { at, length }));
                }
                Part::Literal(..) => {}
                Part::Capture(number) => {
                    let found = captures.get(number as usize).copied();
                    let (index, inner) = found.ok_or(Error::NoCapture(number))?;
                    self.part(index, inner, number);
                }
            }
        }
        self.plan.tasks[base..].reverse();
        Ok(())
    }

    /// Notes what a capture adds to a format.
    fn part(&mut self, index: Option<u32>, taken: Taken, number: u32) {
        let Taken { at, length, .. } = taken;
        match index {
            None => self.later(Task::Do(Action::Add { at, length })),
            Some(index) => self.later(Task::Capture { index, number }),
        }
    }

    /// The captures that a format can name: the whole, then those inside, and those inside of
    /// plain ones as well. Those without an event are plain texts.
    fn numbered(&self, taken: Taken) -> Vec<(Option<u32>, Taken)> {
        let mut found = vec![(None, taken)];
        let (mut next, end) = taken.inside;
        while next < end && found.len() < 10 {
            if self.events[next as usize].is_close() {
                // The end of a plain one.
                next += 1;
                continue;
            }
            let (inner, after) = self.take(next);
            if inner.kind == Kind::Of(Capture::Simple) {
                found.push((None, inner));
                next += 1;
            } else {
                found.push((Some(next), inner));
                next = after;
            }
        }
        found
    }
}

/// A part of a format.
enum Part {
    Literal(usize, usize),
    Capture(u32),
}
