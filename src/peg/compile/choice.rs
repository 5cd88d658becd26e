//! Choices: by looking at one byte where that is enough, by trying where it is not.

use super::Compiler;
use super::Place;
use super::narrow;
use crate::peg::Error;
use crate::peg::program::Inst;
use crate::peg::set::ByteSet;
use crate::peg::tree::Op;

/// The most nodes that are compiled twice for the sake of choosing by a table.
const MAX_COPIED: u32 = 64;

impl Compiler<'_> {
    pub(super) fn choice(&mut self, index: usize, place: Place) -> Result<(), Error> {
        let children: Vec<usize> = self.tree.children(index).collect();
        if self.dispatch(&children, place)? {
            return Ok(());
        }
        self.alternatives(&children, place)
    }

    /// Tries one alternative after the other.
    fn alternatives(&mut self, children: &[usize], place: Place) -> Result<(), Error> {
        let Some((last, others)) = children.split_last() else { return Ok(()) };
        let mut rest = vec![self.first(*last, place.follow); children.len()];
        for at in (0..others.len()).rev() {
            rest[at] = rest[at + 1].union(self.first(children[at], place.follow));
        }
        let mut ends = Vec::new();
        for (at, child) in others.iter().enumerate() {
            let facts = self.facts[*child];
            let is_last_empty = at + 2 == children.len() && self.tree.nodes[*last].op == Op::True;
            let is_certain =
                facts.is_headfail || (!facts.is_nullable && facts.first.is_disjoint(rest[at + 1]));
            if is_certain {
                let test = self.test(facts.first);
                let tested = Some(facts.first);
                self.node(*child, Place { is_optional: false, tested, follow: place.follow })?;
                if !is_last_empty {
                    ends.push(self.emit(Inst::Jump(0)));
                }
                self.land(test);
            } else if is_last_empty && place.is_optional {
                let next = narrow(self.here() + 1);
                self.emit(Inst::PartialCommit(next));
                self.node(*child, Place { is_optional: true, ..Place::ANYWHERE })?;
            } else {
                let test = if facts.is_nullable { None } else { self.test(facts.first) };
                let tested = (!facts.is_nullable).then_some(facts.first);
                let choice = self.emit(Inst::Choice(0));
                self.node(*child, Place { is_optional: is_last_empty, tested, ..Place::ANYWHERE })?;
                ends.push(self.emit(Inst::Commit(0)));
                self.land(Some(choice));
                self.land(test);
            }
        }
        self.node(*last, Place { tested: None, ..place })?;
        for end in ends {
            self.land(Some(end));
        }
        Ok(())
    }

    /// Chooses among many alternatives by a table, if the next byte tells enough.
    fn dispatch(&mut self, children: &[usize], place: Place) -> Result<bool, Error> {
        let is_sure = |child: &usize| !self.facts[*child].is_nullable;
        if children.len() < 4 || self.program.tables.len() >= 64 || !children.iter().all(is_sure) {
            return Ok(false);
        }
        // Alternatives that begin alike are tried one after the other, under the same entry.
        let mut groups: Vec<(Vec<usize>, ByteSet)> = Vec::new();
        for byte in 0..=u8::MAX {
            let fitting: Vec<usize> = children
                .iter()
                .copied()
                .filter(|child| self.facts[*child].first.contains(byte))
                .collect();
            match groups.iter_mut().find(|(group, _)| *group == fitting) {
                Some((_, set)) => set.insert(byte),
                None => groups.push((fitting, ByteSet::of(&[byte]))),
            }
        }
        let copies: u32 = groups
            .iter()
            .flat_map(|(group, _)| group)
            .map(|child| self.tree.nodes[*child].size)
            .sum();
        let all: u32 = children.iter().map(|child| self.tree.nodes[*child].size).sum();
        if copies > all + MAX_COPIED || groups.len() > 128 {
            return Ok(false);
        }
        let number = self.program.tables.len();
        self.program.tables.push([0; 256]);
        self.emit(Inst::Dispatch(narrow(number)));
        let fail = narrow(self.emit(Inst::Fail));
        self.program.tables[number] = [fail; 256];
        let mut ends = Vec::new();
        for (group, set) in groups {
            if group.is_empty() {
                continue;
            }
            let entry = narrow(self.here());
            for byte in set.iter() {
                self.program.tables[number][usize::from(byte)] = entry;
            }
            let tested = Some(set);
            match group[..] {
                [only] => self.node(only, Place { tested, is_optional: false, ..place })?,
                _ => self.alternatives(&group, Place { is_optional: false, ..place })?,
            }
            ends.push(self.emit(Inst::Jump(0)));
        }
        for end in ends {
            self.land(Some(end));
        }
        Ok(true)
    }
}
