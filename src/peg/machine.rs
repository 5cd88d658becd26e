//! The machine that runs programs.
//!
//! Its stack holds choices (where to go on, with the place in the subject and the number of captures
//! to go back to) and calls (where to return to). It is a list on the heap with a limit, so nothing
//! a grammar does reaches the native stack. Whatever could go on for long costs fuel: failing,
//! calling, going round, and long texts; without fuel the machine pauses between two instructions.

use std::rc::Rc;

use memchr::memchr;

use super::Error;
use super::program::Inst;
use super::program::Program;

/// So many bytes of text cost as much as one step.
const BYTES_A_STEP: usize = 256;

/// A place that stands for a call.
const CALL: u32 = u32::MAX;

/// Marks of events: see [`Event`].
const OPEN: u32 = u32::MAX;
const CLOSE: u32 = u32::MAX;
const HELD: u32 = u32::MAX - 1;
const TOGETHER: u32 = u32::MAX - 2;

/// How a match stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has succeeded.
    Matched,
    /// It has failed.
    Failed,
    /// It is out of fuel; it goes on when run again.
    Paused,
    /// It wants to know about the capture begun at this event, see [`Match::answer`].
    Asks {
        /// The event.
        event: usize,
        /// The constant that is to be asked.
        constant: u32,
    },
}

/// What was captured, in the order of the subject.
///
/// | `capture` | `length` | meaning |
/// | --- | --- | --- |
/// | its number | `OPEN` | a capture begins at `at` |
/// | its number | else | a capture of that length begins at `at`, with nothing inside |
/// | `CLOSE` | – | the capture that is open ends at `at` |
/// | `HELD` | its number | a value that the host holds |
/// | `TOGETHER` | `OPEN` | what is inside is one capture of such values |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: u32,
    pub(super) length: u32,
    pub(super) capture: u32,
}

impl Event {
    pub(super) fn is_open(self) -> bool {
        self.length == OPEN && self.capture < HELD
    }

    pub(super) fn is_close(self) -> bool {
        self.capture == CLOSE
    }

    pub(super) fn is_together(self) -> bool {
        self.capture == TOGETHER
    }

    pub(super) fn is_held(self) -> bool {
        self.capture == HELD
    }
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    inst: u32,
    /// The place in the subject; [`CALL`] for a call.
    at: u32,
    events: u32,
}

/// A program on its way through a subject.
#[derive(Debug, Default)]
pub struct Match {
    pub(super) program: Option<Rc<Program>>,
    pub(super) events: Vec<Event>,
    stack: Vec<Frame>,
    at: u32,
    inst: u32,
    max_stack: usize,
    max_events: usize,
    /// Events that stand for held values.
    held: Vec<u32>,
}

impl Match {
    /// Begins to match at `at`, with at most `max_stack` choices and calls at a time and at most
    /// `max_events` captures.
    pub fn begin(&mut self, program: &Rc<Program>, at: usize, max_stack: usize, max_events: usize) {
        self.program = Some(Rc::clone(program));
        self.events.clear();
        self.stack.clear();
        self.held.clear();
        // A subject that is too long is refused when the match runs.
        self.at = u32::try_from(at).unwrap_or(HELD);
        self.inst = 0;
        self.max_stack = max_stack;
        self.max_events = max_events;
    }

    /// Where the match stands in the subject.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at as usize
    }

    /// The program that runs, if one has begun to.
    #[must_use]
    pub fn program(&self) -> Option<&Program> {
        self.program.as_deref()
    }

    /// Bytes of room that are kept for the next match.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.events.capacity() * size_of::<Event>() + self.stack.capacity() * size_of::<Frame>()
    }

    /// Runs, over the same subject each time, until the match is decided, asks, or has used up its
    /// fuel.
    ///
    /// # Errors
    /// When the stack overflows or too much is captured; the match is then over.
    pub fn run(&mut self, subject: &[u8], fuel: u32) -> Result<Outcome, Error> {
        if subject.len() >= HELD as usize {
            return Err(Error::LongSubject);
        }
        let Some(program) = self.program.take() else { return Ok(Outcome::Failed) };
        let mut fuel = i64::from(fuel);
        let result = self.steps(&program, subject, &mut fuel);
        self.program = Some(program);
        if result.is_err() {
            self.stack.clear();
        }
        result
    }

    #[allow(clippy::too_many_lines, reason = "one match over all instructions is quickest")]
    #[allow(clippy::cast_possible_truncation, reason = "the subject is shorter than 4 GiB")]
    fn steps(
        &mut self,
        program: &Program,
        subject: &[u8],
        fuel: &mut i64,
    ) -> Result<Outcome, Error> {
        let insts = program.insts.as_slice();
        let mut at = self.at as usize;
        let mut inst = self.inst as usize;
        loop {
            let is_fine = match insts[inst] {
                Inst::Byte(byte) => {
                    let fits = subject.get(at) == Some(&byte);
                    at += usize::from(fits);
                    fits
                }
                Inst::Set(set) => {
                    let set = &program.sets[set as usize];
                    let fits = subject.get(at).is_some_and(|byte| set.contains(*byte));
                    at += usize::from(fits);
                    fits
                }
                Inst::Any(count) => {
                    let fits = subject.len() - at >= count as usize;
                    at += if fits { count as usize } else { 0 };
                    fits
                }
                Inst::Text(text) => {
                    let (start, len) = program.texts[text as usize];
                    let text = &program.bytes[start as usize..(start + len) as usize];
                    let fits = subject[at..].starts_with(text);
                    at += if fits { text.len() } else { 0 };
                    *fuel -= cost(text.len());
                    fits
                }
                Inst::Span(set) => {
                    at += span(program, set, &subject[at..], fuel);
                    true
                }
                Inst::Span1(set) => {
                    let length = span(program, set, &subject[at..], fuel);
                    at += length;
                    length > 0
                }
                Inst::Until(byte) => {
                    at += until(byte, &subject[at..], fuel);
                    true
                }
                Inst::Until1(byte) => {
                    let length = until(byte, &subject[at..], fuel);
                    at += length;
                    length > 0
                }
                Inst::TestByte { byte, or } => {
                    inst = if subject.get(at) == Some(&byte) { inst + 1 } else { or as usize };
                    continue;
                }
                Inst::TestSet { set, or } => {
                    let set = &program.sets[usize::from(set)];
                    let fits = subject.get(at).is_some_and(|byte| set.contains(*byte));
                    inst = if fits { inst + 1 } else { or as usize };
                    continue;
                }
                Inst::TestAny(or) => {
                    inst = if at < subject.len() { inst + 1 } else { or as usize };
                    continue;
                }
                Inst::Dispatch(table) => match subject.get(at) {
                    Some(byte) => {
                        inst = program.tables[table as usize][usize::from(*byte)] as usize;
                        continue;
                    }
                    None => false,
                },
                Inst::Choice(target) => {
                    self.push(target, at as u32)?;
                    true
                }
                Inst::Commit(target) => {
                    self.stack.pop();
                    inst = target as usize;
                    continue;
                }
                Inst::PartialCommit(target) => {
                    if let Some(frame) = self.stack.last_mut() {
                        frame.at = at as u32;
                        frame.events = self.events.len() as u32;
                    }
                    inst = target as usize;
                    *fuel -= 1;
                    if *fuel <= 0 {
                        return Ok(self.pause(inst, at));
                    }
                    continue;
                }
                Inst::BackCommit(target) => {
                    if let Some(frame) = self.stack.pop() {
                        at = frame.at as usize;
                        self.events.truncate(frame.events as usize);
                    }
                    inst = target as usize;
                    continue;
                }
                Inst::FailTwice => {
                    self.stack.pop();
                    false
                }
                Inst::Fail => false,
                Inst::Jump(target) => {
                    inst = target as usize;
                    *fuel -= 1;
                    if *fuel <= 0 {
                        return Ok(self.pause(inst, at));
                    }
                    continue;
                }
                Inst::Call(target) => {
                    self.push(inst as u32 + 1, CALL)?;
                    inst = target as usize;
                    *fuel -= 1;
                    if *fuel <= 0 {
                        return Ok(self.pause(inst, at));
                    }
                    continue;
                }
                Inst::Return => {
                    inst = self.stack.pop().map_or(0, |frame| frame.inst as usize);
                    continue;
                }
                Inst::Behind(count) => {
                    let fits = at >= count as usize;
                    at -= if fits { count as usize } else { 0 };
                    fits
                }
                Inst::Open(capture) => {
                    self.note(Event { at: at as u32, length: OPEN, capture })?;
                    true
                }
                Inst::Close => {
                    self.close(at as u32)?;
                    true
                }
                Inst::Full { length, capture } => {
                    let length = u32::from(length);
                    self.note(Event { at: at as u32 - length, length, capture })?;
                    true
                }
                Inst::CloseRuntime(capture) => {
                    let constant = program.captures[capture as usize].constant;
                    self.pause(inst + 1, at);
                    return Ok(Outcome::Asks { event: self.opened(), constant });
                }
                Inst::End => {
                    self.pause(inst, at);
                    return Ok(Outcome::Matched);
                }
            };
            if is_fine {
                inst += 1;
                continue;
            }
            if !self.fail() {
                return Ok(Outcome::Failed);
            }
            at = self.at as usize;
            inst = self.inst as usize;
            *fuel -= 1;
            if *fuel <= 0 {
                return Ok(Outcome::Paused);
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "programs and subjects are shorter")]
    fn pause(&mut self, inst: usize, at: usize) -> Outcome {
        self.inst = inst as u32;
        self.at = at as u32;
        Outcome::Paused
    }

    /// Goes back to the last choice; false when there is none.
    fn fail(&mut self) -> bool {
        while let Some(frame) = self.stack.pop() {
            if frame.at != CALL {
                self.at = frame.at;
                self.inst = frame.inst;
                self.events.truncate(frame.events as usize);
                return true;
            }
        }
        false
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "there are fewer events")]
    fn push(&mut self, inst: u32, at: u32) -> Result<(), Error> {
        if self.stack.len() >= self.max_stack {
            return Err(Error::StackOverflow(self.max_stack));
        }
        self.stack.push(Frame { inst, at, events: self.events.len() as u32 });
        Ok(())
    }

    #[inline]
    fn note(&mut self, event: Event) -> Result<(), Error> {
        if self.events.len() >= self.max_events {
            return Err(Error::TooManyCaptures);
        }
        self.events.push(event);
        Ok(())
    }

    fn close(&mut self, at: u32) -> Result<(), Error> {
        if let Some(last) = self.events.last_mut()
            && last.is_open()
        {
            last.length = at - last.at;
            return Ok(());
        }
        self.note(Event { at, length: 0, capture: CLOSE })
    }

    /// The capture that was begun last and has not ended.
    fn opened(&self) -> usize {
        let mut closed = 0_usize;
        for (index, event) in self.events.iter().enumerate().rev() {
            if event.is_close() {
                closed += 1;
            } else if event.is_open() {
                if closed == 0 {
                    return index;
                }
                closed -= 1;
            }
        }
        0
    }

    /// The number that the next value held by the host is to have: values that the match has gone
    /// back on are given up.
    pub fn next_held(&mut self) -> usize {
        while let Some(index) = self.held.last() {
            let number = self.held.len() - 1;
            let is_there = self
                .events
                .get(*index as usize)
                .is_some_and(|event| event.is_held() && event.length as usize == number);
            if is_there {
                break;
            }
            self.held.pop();
        }
        self.held.len()
    }

    /// Answers what [`Outcome::Asks`] asked: fails, or goes on at `at`, which must not lie before
    /// the place where the match stands, with so many values that the host holds from
    /// [`Match::next_held`] on.
    ///
    /// # Errors
    /// When too much is captured.
    #[allow(clippy::cast_possible_truncation, reason = "there are fewer events and values")]
    pub fn answer(
        &mut self,
        event: usize,
        at: Option<usize>,
        values: usize,
    ) -> Result<bool, Error> {
        let Some(at) = at else { return Ok(self.fail()) };
        let start = self.events.get(event).map_or(0, |event| event.at);
        self.events.truncate(event);
        self.at = at as u32;
        if values > 0 {
            self.note(Event { at: start, length: OPEN, capture: TOGETHER })?;
        }
        for _ in 0..values {
            let length = self.held.len() as u32;
            self.held.push(self.events.len() as u32);
            self.note(Event { at: start, length, capture: HELD })?;
        }
        if values > 0 {
            self.note(Event { at: self.at, length: 0, capture: CLOSE })?;
        }
        Ok(true)
    }
}

/// The fuel that so many bytes cost.
fn cost(bytes: usize) -> i64 {
    i64::try_from(bytes / BYTES_A_STEP).unwrap_or(i64::MAX)
}

fn span(program: &Program, set: u32, subject: &[u8], fuel: &mut i64) -> usize {
    let set = &program.sets[set as usize];
    let length = subject.iter().position(|byte| !set.contains(*byte)).unwrap_or(subject.len());
    *fuel -= cost(length);
    length
}

fn until(byte: u8, subject: &[u8], fuel: &mut i64) -> usize {
    let near = subject.iter().take(16).position(|other| *other == byte);
    let length = match near {
        Some(length) => length,
        None if subject.len() <= 16 => subject.len(),
        None => memchr(byte, &subject[16..]).map_or(subject.len(), |length| length + 16),
    };
    *fuel -= cost(length);
    length
}
