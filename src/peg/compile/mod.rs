//! Turns trees into programs.
//!
//! A piece of code is made in the knowledge of what may follow it and of what has been found out
//! about the next byte, so that most choices are made by looking at one byte rather than by trying.
//!
//! That a repetition stops where the next byte is not one to begin with needs a choice only where
//! what follows could begin with such a byte too; and what follows is known only where failing
//! behind the repetition fails the whole. Inside an alternative it is not, so there everything may
//! follow.

mod choice;
mod repeat;

use std::collections::HashMap;

use super::Error;
use super::facts::Facts;
use super::program::CaptureInfo;
use super::program::Inst;
use super::program::Kind;
use super::program::NO_CONSTANT;
use super::program::Program;
use super::set::ByteSet;
use super::tree::Capture;
use super::tree::NO_KEY;
use super::tree::Op;
use super::tree::Pattern;

/// The most instructions of a program.
const MAX_CODE: usize = 1 << 20;

/// What is known where a piece of code stands.
#[derive(Clone, Copy)]
struct Place {
    /// Failing may go to the choice below: the last piece of an optional part.
    is_optional: bool,
    /// The next byte is one of these.
    tested: Option<ByteSet>,
    /// What the rest may begin with.
    follow: ByteSet,
}

impl Place {
    const ANYWHERE: Place = Place { is_optional: false, tested: None, follow: ByteSet::FULL };
}

/// A place in the code that is not known yet.
type Label = Option<usize>;

impl Pattern {
    /// Compiles the pattern.
    ///
    /// # Errors
    /// When it calls a rule outside a grammar, or becomes too large.
    pub fn compile(&self) -> Result<Program, Error> {
        if let Some(Op::Open(key)) =
            self.nodes.iter().map(|node| node.op).find(|op| matches!(op, Op::Open(_)))
        {
            return Err(Error::OutsideGrammar(self.shown_key(key)));
        }
        let program =
            Program { sets: self.sets.clone(), bytes: self.bytes.clone(), ..Program::default() };
        let mut compiler = Compiler {
            tree: self,
            facts: self.facts(),
            program,
            calls: Vec::new(),
            sets: HashMap::new(),
            constants: HashMap::new(),
        };
        compiler.node(0, Place::ANYWHERE)?;
        if compiler.program.sets.len() > usize::from(u16::MAX) {
            return Err(Error::TooBig);
        }
        compiler.emit(Inst::End);
        compiler.program.shorten_jumps();
        Ok(compiler.program)
    }
}

struct Compiler<'a> {
    tree: &'a Pattern,
    facts: Vec<Facts>,
    program: Program,
    /// The calls of the grammar being compiled: where they stand, and the rule.
    calls: Vec<(usize, u32)>,
    /// The sets made while compiling.
    sets: HashMap<ByteSet, u32>,
    /// The constants, by their keys.
    constants: HashMap<u32, u32>,
}

impl Compiler<'_> {
    fn node(&mut self, index: usize, place: Place) -> Result<(), Error> {
        if self.program.insts.len() > MAX_CODE || self.program.sets.len() > usize::from(u16::MAX) {
            return Err(Error::TooBig);
        }
        match self.tree.nodes[index].op {
            Op::True => {}
            Op::False => {
                self.emit(Inst::Fail);
            }
            Op::Any(count) => {
                self.emit(Inst::Any(count));
            }
            Op::Text { len: 1, .. } | Op::Set(_) => self.one_byte(index, place.tested),
            Op::Text { at, len } => self.text(at, len),
            Op::Seq => self.sequence(index, place)?,
            Op::Choice => self.choice(index, place)?,
            Op::Repeat(count) => self.repeat(index + 1, count, place)?,
            Op::AtMost(count) => self.at_most(index + 1, count, place)?,
            Op::And => self.and(index + 1, place)?,
            Op::Not => self.not(index + 1)?,
            Op::Behind(length) => {
                if length > 0 {
                    self.emit(Inst::Behind(length));
                }
                self.node(index + 1, Place::ANYWHERE)?;
            }
            Op::Capture(kind, key) => self.capture(index + 1, kind, key, place)?,
            Op::Runtime(key) => {
                let capture = self.capture_info(Kind::Runtime, key);
                self.emit(Inst::Open(capture));
                self.node(index + 1, Place { tested: place.tested, ..Place::ANYWHERE })?;
                self.emit(Inst::CloseRuntime(capture));
            }
            Op::Grammar { .. } => self.grammar(index)?,
            Op::Rule(_) => self.node(index + 1, place)?,
            Op::Call(rule) => {
                let at = self.emit(Inst::Call(0));
                self.calls.push((at, rule));
            }
            // Refused before.
            Op::Open(_) => {}
        }
        Ok(())
    }

    fn one_byte(&mut self, index: usize, tested: Option<ByteSet>) {
        let set = self.tree.set_at(index).unwrap_or(ByteSet::FULL);
        let is_known = tested.is_some_and(|tested| tested.minus(set) == ByteSet::EMPTY);
        let inst = match self.tree.nodes[index].op {
            _ if is_known => Inst::Any(1),
            Op::Set(set) => Inst::Set(set),
            _ => set.single().map_or(Inst::Any(1), Inst::Byte),
        };
        self.emit(inst);
    }

    fn text(&mut self, at: u32, len: u32) {
        let number = narrow(self.program.texts.len());
        self.program.texts.push((at, len));
        self.emit(Inst::Text(number));
    }

    fn sequence(&mut self, index: usize, place: Place) -> Result<(), Error> {
        let children: Vec<usize> = self.tree.children(index).collect();
        // What follows each child.
        let mut follow = vec![place.follow; children.len()];
        for at in (1..children.len()).rev() {
            follow[at - 1] = self.first(children[at], follow[at]);
        }
        let mut tested = place.tested;
        for (at, child) in children.iter().enumerate() {
            let is_optional = place.is_optional && at + 1 == children.len();
            self.node(*child, Place { is_optional, tested, follow: follow[at] })?;
            if self.facts[*child].length != Some(0) {
                tested = None;
            }
        }
        Ok(())
    }

    /// What a node may begin with, given what follows it.
    fn first(&self, index: usize, follow: ByteSet) -> ByteSet {
        let facts = &self.facts[index];
        if facts.is_nullable { facts.first.union(follow) } else { facts.first }
    }

    fn and(&mut self, child: usize, place: Place) -> Result<(), Error> {
        let facts = self.facts[child];
        let inner = Place { tested: place.tested, ..Place::ANYWHERE };
        if let (Some(length), false) = (facts.length, facts.has_captures) {
            self.node(child, inner)?;
            if length > 0 {
                self.emit(Inst::Behind(length));
            }
            return Ok(());
        }
        let choice = self.emit(Inst::Choice(0));
        self.node(child, inner)?;
        let commit = self.emit(Inst::BackCommit(0));
        self.land(Some(choice));
        self.emit(Inst::Fail);
        self.land(Some(commit));
        Ok(())
    }

    fn not(&mut self, child: usize) -> Result<(), Error> {
        let facts = self.facts[child];
        let test = if facts.is_nullable { None } else { self.test(facts.first) };
        if facts.is_headfail {
            self.emit(Inst::Fail);
        } else {
            let choice = self.emit(Inst::Choice(0));
            self.node(child, Place::ANYWHERE)?;
            self.emit(Inst::FailTwice);
            self.land(Some(choice));
        }
        self.land(test);
        Ok(())
    }

    fn capture(
        &mut self,
        child: usize,
        kind: Capture,
        key: u32,
        place: Place,
    ) -> Result<(), Error> {
        let is_named = kind == Capture::Group && key != NO_KEY;
        let kind = if is_named { Kind::Named } else { Kind::Of(kind) };
        let capture = self.capture_info(kind, key);
        let facts = self.facts[child];
        let length = facts.length.and_then(|length| u16::try_from(length).ok());
        let place = Place { is_optional: false, ..place };
        if let (Some(length), false) = (length, facts.has_captures) {
            self.node(child, place)?;
            self.emit(Inst::Full { length, capture });
            return Ok(());
        }
        self.emit(Inst::Open(capture));
        self.node(child, place)?;
        self.emit(Inst::Close);
        Ok(())
    }

    fn capture_info(&mut self, kind: Kind, key: u32) -> u32 {
        let constant = self.constant(key);
        let info = CaptureInfo { kind, constant };
        let captures = &mut self.program.captures;
        if captures.last() != Some(&info) {
            captures.push(info);
        }
        narrow(captures.len() - 1)
    }

    /// The number of a key among the constants.
    fn constant(&mut self, key: u32) -> u32 {
        let Some(kept) = self.tree.keys.get(key as usize) else { return NO_CONSTANT };
        *self.constants.entry(key).or_insert_with(|| {
            self.program.constants.push(*kept);
            narrow(self.program.constants.len() - 1)
        })
    }

    fn grammar(&mut self, index: usize) -> Result<(), Error> {
        let outer = std::mem::take(&mut self.calls);
        let call = self.emit(Inst::Call(0));
        self.calls.push((call, 0));
        let over = self.emit(Inst::Jump(0));
        let mut entries = Vec::new();
        let rules: Vec<usize> = self.tree.children(index).collect();
        for rule in rules {
            entries.push(narrow(self.here()));
            self.node(rule, Place::ANYWHERE)?;
            self.emit(Inst::Return);
        }
        self.land(Some(over));
        for (at, rule) in std::mem::replace(&mut self.calls, outer) {
            let entry = entries.get(rule as usize).copied().unwrap_or(0);
            // What is called last need not come back.
            let is_last = self.program.insts.get(at + 1) == Some(&Inst::Return);
            self.program.insts[at] = if is_last { Inst::Jump(entry) } else { Inst::Call(entry) };
        }
        Ok(())
    }

    /// Goes elsewhere where the next byte is not in the set.
    fn test(&mut self, set: ByteSet) -> Label {
        let inst = if set == ByteSet::FULL {
            Inst::TestAny(0)
        } else if set == ByteSet::EMPTY {
            Inst::Jump(0)
        } else if let Some(byte) = set.single() {
            Inst::TestByte { byte, or: 0 }
        } else {
            // Where there are more sets, the next node refuses.
            let set = u16::try_from(self.set_number(set)).unwrap_or(u16::MAX);
            Inst::TestSet { set, or: 0 }
        };
        Some(self.emit(inst))
    }

    fn set_number(&mut self, set: ByteSet) -> u32 {
        let sets = &mut self.program.sets;
        *self.sets.entry(set).or_insert_with(|| {
            sets.push(set);
            narrow(sets.len() - 1)
        })
    }

    fn here(&self) -> usize {
        self.program.insts.len()
    }

    fn emit(&mut self, inst: Inst) -> usize {
        self.program.insts.push(inst);
        self.program.insts.len() - 1
    }

    /// Lets an instruction go to the one that comes next.
    fn land(&mut self, label: Label) {
        let here = narrow(self.here());
        if let Some(at) = label
            && let Some(target) = self.program.insts[at].target()
        {
            *target = here;
        }
    }
}

impl Inst {
    /// Where it goes, if that is not the next one.
    fn target(&mut self) -> Option<&mut u32> {
        match self {
            Inst::TestByte { or: target, .. }
            | Inst::TestSet { or: target, .. }
            | Inst::TestAny(target)
            | Inst::Choice(target)
            | Inst::Commit(target)
            | Inst::PartialCommit(target)
            | Inst::BackCommit(target)
            | Inst::Jump(target)
            | Inst::Call(target) => Some(target),
            _ => None,
        }
    }
}

impl Program {
    /// Lets what goes to a jump go to where that goes.
    fn shorten_jumps(&mut self) {
        for at in 0..self.insts.len() {
            let mut inst = self.insts[at];
            let Some(target) = inst.target() else { continue };
            // Not backwards, for going round is counted where the jump is.
            for _ in 0..8 {
                match self.insts.get(*target as usize) {
                    Some(Inst::Jump(next)) if *next > *target => *target = *next,
                    _ => break,
                }
            }
            if let Inst::Jump(target) = inst
                && let Some(end @ (Inst::Return | Inst::End | Inst::Fail)) =
                    self.insts.get(target as usize)
            {
                inst = *end;
            }
            self.insts[at] = inst;
        }
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
