//! From what was captured to the steps that build the values.
//!
//! A plan is a little program for a stack: values are pushed, and what follows takes those pushed
//! since a mark. It names texts by their place in the subject or in the program, and constants by
//! their numbers, so that whoever carries it out needs to know nothing of captures. Like the match it
//! pauses when its fuel is used up: back references can make a plan much longer than the captures.

mod action;
mod text;

use super::Error;
use super::machine::Event;
use super::machine::Match;
use super::program::Kind;
use super::program::NO_CONSTANT;
use super::program::Program;
use super::tree::Capture;
use super::tree::Kept;

pub use action::Action;

/// What is left to be planned.
#[derive(Clone, Copy, Debug)]
enum Task {
    Do(Action),
    /// The values of the events.
    Values {
        next: u32,
        end: u32,
    },
    /// The same, into a table.
    Items {
        next: u32,
        end: u32,
    },
    /// The same, folded by the constant.
    Fold {
        next: u32,
        end: u32,
        constant: u32,
    },
    /// What the capture at the event adds to a format, where it has this number.
    Capture {
        index: u32,
        number: u32,
    },
    /// The same, put into the text from `from` to `to`.
    Text {
        next: u32,
        end: u32,
        from: u32,
        to: u32,
    },
}

/// The steps that build what a match has captured.
#[derive(Debug, Default)]
pub struct Plan {
    actions: Vec<Action>,
    tasks: Vec<Task>,
    /// For each event that begins or ends a capture the one at its other end.
    partners: Vec<u32>,
    max_actions: usize,
}

/// A capture taken from the events.
#[derive(Clone, Copy)]
struct Taken {
    kind: Kind,
    constant: u32,
    at: u32,
    length: u32,
    /// The events inside.
    inside: (u32, u32),
}

impl Plan {
    /// Begins to plan what is inside the event, or everything.
    pub fn begin(&mut self, of: &Match, event: Option<usize>, max_actions: usize) {
        self.actions.clear();
        self.tasks.clear();
        self.max_actions = max_actions;
        self.pair(&of.events);
        let end = narrow(of.events.len());
        let Some(event) = event else {
            self.tasks.push(Task::Values { next: 0, end });
            return;
        };
        let at = of.events.get(event).map_or(0, |event| event.at);
        let length = narrow(of.position()).saturating_sub(at);
        self.actions.push(Action::Mark);
        self.tasks.push(Task::Do(Action::Unmark));
        self.tasks.push(Task::Do(Action::Whole { at, length }));
        self.tasks.push(Task::Values { next: narrow(event) + 1, end });
    }

    /// The steps planned so far.
    #[must_use]
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// Bytes of room that are kept for the next plan.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.actions.capacity() * size_of::<Action>()
            + self.tasks.capacity() * size_of::<Task>()
            + self.partners.capacity() * 4
    }

    /// Plans on; false when the fuel is used up before the plan is ready.
    ///
    /// # Errors
    /// When a group is not there, or the plan becomes too long.
    pub fn run(&mut self, of: &Match, fuel: u32) -> Result<bool, Error> {
        let Some(program) = of.program() else { return Ok(true) };
        let mut planner = Planner { plan: self, program, events: &of.events, fuel: fuel.into() };
        while let Some(task) = planner.plan.tasks.pop() {
            planner.task(task)?;
            planner.fuel -= 1;
            if planner.fuel <= 0 {
                return Ok(false);
            }
            if planner.plan.actions.len() > planner.plan.max_actions {
                return Err(Error::TooManyCaptures);
            }
        }
        Ok(true)
    }

    fn pair(&mut self, events: &[Event]) {
        self.partners.clear();
        self.partners.resize(events.len(), 0);
        let mut open: smallvec::SmallVec<[u32; 16]> = smallvec::SmallVec::new();
        for (index, event) in events.iter().enumerate() {
            if event.is_open() {
                open.push(narrow(index));
            } else if event.is_close()
                && let Some(opened) = open.pop()
            {
                self.partners[opened as usize] = narrow(index);
                self.partners[index] = opened;
            }
        }
        // What a match-time capture is inside of is still open.
        for opened in open {
            self.partners[opened as usize] = narrow(events.len());
        }
    }
}

struct Planner<'a> {
    plan: &'a mut Plan,
    program: &'a Program,
    events: &'a [Event],
    fuel: i64,
}

impl Planner<'_> {
    fn act(&mut self, action: Action) {
        self.plan.actions.push(action);
    }

    fn later(&mut self, task: Task) {
        self.plan.tasks.push(task);
    }

    /// The capture at an event, and the event behind it.
    fn take(&self, index: u32) -> (Taken, u32) {
        let event = self.events[index as usize];
        let partner = if event.is_open() { self.plan.partners[index as usize] } else { index };
        let info = self.program.captures.get(event.capture as usize).copied();
        let length = if event.is_open() {
            self.events.get(partner as usize).map_or(0, |close| close.at.saturating_sub(event.at))
        } else if event.is_held() {
            0
        } else {
            event.length
        };
        let kind = if event.is_together() { Kind::Of(Capture::Group) } else { Kind::Runtime };
        let taken = Taken {
            kind: info.map_or(kind, |info| info.kind),
            constant: info.map_or(NO_CONSTANT, |info| info.constant),
            at: event.at,
            length,
            inside: (index + 1, if event.is_open() { partner } else { index + 1 }),
        };
        (taken, partner + 1)
    }

    fn task(&mut self, task: Task) -> Result<(), Error> {
        match task {
            Task::Do(action) => self.act(action),
            Task::Values { next, end } if next < end => {
                let (taken, after) = self.take(next);
                self.later(Task::Values { next: after, end });
                self.value(next, taken)?;
            }
            Task::Items { next, end } if next < end => {
                let (taken, after) = self.take(next);
                self.later(Task::Items { next: after, end });
                self.item(next, taken)?;
            }
            Task::Fold { next, end, constant } if next < end => {
                let (taken, after) = self.take(next);
                self.later(Task::Fold { next: after, end, constant });
                self.act(Action::FoldArm(constant));
                self.later(Task::Do(Action::FoldCall));
                self.value(next, taken)?;
            }
            Task::Text { next, end, from, to } if next < end => {
                let (taken, after) = self.take(next);
                self.add(from, taken.at);
                let from = taken.at + taken.length;
                self.later(Task::Text { next: after, end, from, to });
                self.text_of(next, taken, None)?;
            }
            Task::Text { from, to, .. } => self.add(from, to),
            Task::Capture { index, number } => {
                let (taken, _) = self.take(index);
                self.text_of(index, taken, Some(number))?;
            }
            Task::Values { .. } | Task::Items { .. } | Task::Fold { .. } => {}
        }
        Ok(())
    }

    fn add(&mut self, from: u32, to: u32) {
        if from < to {
            self.act(Action::Add { at: from, length: to - from });
        }
    }

    /// Plans the values of a capture.
    fn value(&mut self, index: u32, taken: Taken) -> Result<(), Error> {
        let event = self.events[index as usize];
        if event.is_held() {
            self.act(Action::Held(event.length));
            return Ok(());
        }
        let Taken { at, length, constant, inside: (next, end), .. } = taken;
        let Kind::Of(kind) = taken.kind else { return Ok(()) };
        match kind {
            Capture::Simple => {
                self.act(Action::Text { at, length });
                self.later(Task::Values { next, end });
            }
            Capture::Position => self.act(Action::Number(at + 1)),
            Capture::Constant => self.act(Action::Constant(constant)),
            Capture::Argument(number) => self.act(Action::Argument(number)),
            Capture::Table => {
                let (items, fields) = self.count(next, end);
                self.act(Action::Table { items, fields });
                self.later(Task::Do(Action::Unmark));
                self.later(Task::Items { next, end });
            }
            Capture::Group => self.inside(taken, Action::Unmark),
            Capture::Back => {
                let group = self.group(index, constant)?;
                self.inside(group, Action::Unmark);
            }
            Capture::Fold => {
                if next == end {
                    self.act(Action::Mark);
                    self.act(Action::FoldFirst);
                    return Ok(());
                }
                let (first, after) = self.take(next);
                self.act(Action::Mark);
                self.later(Task::Fold { next: after, end, constant });
                self.later(Task::Do(Action::FoldFirst));
                self.value(next, first)?;
            }
            Capture::Substitution | Capture::Format => {
                self.act(Action::Begin);
                self.later(Task::Do(Action::End));
                self.text_of(index, taken, None)?;
            }
            Capture::Select(0) => {}
            Capture::Select(number) => self.inside(taken, Action::Select(number)),
            Capture::Query => self.inside(taken, Action::Query(constant)),
            Capture::Function => self.inside(taken, Action::Call(constant)),
        }
        Ok(())
    }

    /// Plans the values inside a capture, or the whole of it, and what becomes of them.
    fn inside(&mut self, taken: Taken, then: Action) {
        let Taken { at, length, inside: (next, end), .. } = taken;
        if next == end && then == Action::Unmark {
            self.act(Action::Text { at, length });
            return;
        }
        self.act(Action::Mark);
        self.later(Task::Do(then));
        self.later(Task::Do(Action::Whole { at, length }));
        self.later(Task::Values { next, end });
    }

    /// Plans an item or field of a table.
    fn item(&mut self, index: u32, taken: Taken) -> Result<(), Error> {
        let Taken { mut at, mut length, constant, inside: (mut next, end), .. } = taken;
        if taken.kind == Kind::Named && next + 1 == end {
            let (inner, _) = self.take(next);
            if inner.kind == Kind::Of(Capture::Simple) {
                // The text of one plain capture is all there is.
                (at, length, next) = (inner.at, inner.length, end);
            }
        }
        match taken.kind {
            Kind::Named if next == end => {
                self.act(Action::FieldText { key: constant, at, length });
            }
            Kind::Named => {
                self.act(Action::Mark);
                self.later(Task::Do(Action::Field(constant)));
                self.later(Task::Do(Action::Whole { at, length }));
                self.later(Task::Values { next, end });
            }
            Kind::Of(Capture::Simple) if next == end => self.act(Action::ItemText { at, length }),
            _ => {
                self.later(Task::Do(Action::Items));
                self.value(index, taken)?;
            }
        }
        Ok(())
    }

    /// How many items and fields a table will have, at a guess.
    fn count(&self, mut next: u32, end: u32) -> (u32, u32) {
        let (mut items, mut fields) = (0, 0);
        while next < end && items + fields < 1024 {
            let (taken, after) = self.take(next);
            match taken.kind {
                Kind::Named => fields += 1,
                _ => items += 1,
            }
            next = after;
        }
        (items, fields)
    }

    /// The group that was captured last under the name in `constant`, seen from an event.
    fn group(&mut self, from: u32, constant: u32) -> Result<Taken, Error> {
        let mut index = from;
        while index > 0 {
            index -= 1;
            self.fuel -= 1;
            let event = self.events[index as usize];
            if event.is_close() {
                index = self.plan.partners[index as usize];
            } else if event.is_open() {
                // One that is around us is not complete.
                if self.plan.partners[index as usize] > from {
                    continue;
                }
            }
            let (taken, _) = self.take(index);
            if taken.kind == Kind::Named && self.is_same(taken.constant, constant) {
                return Ok(taken);
            }
        }
        Err(Error::NoGroup(self.shown(constant)))
    }

    fn is_same(&mut self, a: u32, b: u32) -> bool {
        let constants = &self.program.constants;
        match (constants.get(a as usize), constants.get(b as usize)) {
            (Some(Kept::Text { at, len }), Some(Kept::Text { at: b_at, len: b_len })) => {
                self.fuel -= i64::from(*len.min(b_len) / 64);
                self.program.slice(*at, *len) == self.program.slice(*b_at, *b_len)
            }
            (a, b) => a == b,
        }
    }

    fn shown(&self, constant: u32) -> String {
        match self.program.constants.get(constant as usize) {
            Some(Kept::Text { at, len }) => {
                String::from_utf8_lossy(self.program.slice(*at, *len)).into_owned()
            }
            Some(Kept::Number(number)) => number.to_string(),
            _ => "(a value)".to_owned(),
        }
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
