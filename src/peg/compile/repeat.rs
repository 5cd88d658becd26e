//! Repetitions.

use super::Compiler;
use super::Label;
use super::Place;
use super::narrow;
use crate::peg::Error;
use crate::peg::program::Inst;
use crate::peg::set::ByteSet;

impl Compiler<'_> {
    pub(super) fn repeat(&mut self, child: usize, count: u32, place: Place) -> Result<(), Error> {
        if let Some(set) = self.tree.set_at(child) {
            let plain = count.saturating_sub(1);
            for _ in 0..plain {
                self.one_byte(child, None);
            }
            self.span(set, count > 0);
            return Ok(());
        }
        let mut tested = place.tested;
        for _ in 0..count {
            self.node(child, Place { tested, ..Place::ANYWHERE })?;
            tested = None;
        }
        let facts = self.facts[child];
        if facts.is_headfail || (!facts.is_nullable && facts.first.is_disjoint(place.follow)) {
            let start = self.here();
            let test = self.test(facts.first);
            self.node(child, Place { tested: Some(facts.first), ..Place::ANYWHERE })?;
            self.emit(Inst::Jump(narrow(start)));
            self.land(test);
            return Ok(());
        }
        let test = if facts.is_nullable { None } else { self.test(facts.first) };
        let choice = if place.is_optional {
            let next = narrow(self.here() + 1);
            self.emit(Inst::PartialCommit(next));
            None
        } else {
            Some(self.emit(Inst::Choice(0)))
        };
        let start = self.here();
        self.node(child, Place::ANYWHERE)?;
        self.emit(Inst::PartialCommit(narrow(start)));
        self.land(choice);
        self.land(test);
        Ok(())
    }

    fn span(&mut self, set: ByteSet, is_one_needed: bool) {
        let inst = match (set.complement().single(), is_one_needed) {
            (Some(byte), false) => Inst::Until(byte),
            (Some(byte), true) => Inst::Until1(byte),
            (None, false) => Inst::Span(self.set_number(set)),
            (None, true) => Inst::Span1(self.set_number(set)),
        };
        self.emit(inst);
    }

    pub(super) fn at_most(&mut self, child: usize, count: u32, place: Place) -> Result<(), Error> {
        let facts = self.facts[child];
        let mut ends: Vec<Label> = Vec::new();
        if facts.is_headfail || (!facts.is_nullable && facts.first.is_disjoint(place.follow)) {
            for _ in 0..count {
                ends.push(self.test(facts.first));
                self.node(child, Place { tested: Some(facts.first), ..Place::ANYWHERE })?;
            }
        } else {
            ends.push(if facts.is_nullable { None } else { self.test(facts.first) });
            ends.push(Some(self.emit(Inst::Choice(0))));
            for time in 0..count {
                self.node(child, Place::ANYWHERE)?;
                let next = narrow(self.here() + 1);
                let is_last = time + 1 == count;
                self.emit(if is_last { Inst::Commit(next) } else { Inst::PartialCommit(next) });
            }
        }
        for end in ends {
            self.land(end);
        }
        Ok(())
    }
}
