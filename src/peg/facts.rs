//! What is known of a tree without running it.
//!
//! While patterns are made, single questions are asked of them; a rule of a grammar that is yet to be
//! made counts as consuming something. For compiling, all nodes are looked at once, from the leaves
//! up, and rules in an order in which those come first that others begin with; where a rule is not
//! known yet, the answer is the one that promises nothing.

use super::grammar::left_order;
use super::set::ByteSet;
use super::tree::Op;
use super::tree::Pattern;

/// What is known of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// The bytes it may begin with, as far as it consumes anything.
    pub(super) first: ByteSet,
    /// It may succeed without consuming anything.
    pub(super) is_nullable: bool,
    /// It never fails.
    pub(super) is_nofail: bool,
    /// It fails where the next byte is not one of `first`, and nowhere else.
    pub(super) is_headfail: bool,
    pub(super) has_captures: bool,
    /// How many bytes it consumes, if that is always the same.
    pub(super) length: Option<u32>,
    /// It may ask the host before it has consumed anything: then it counts as nullable with all that
    /// follows, for the host is to be asked whatever comes.
    asks: bool,
    /// A grammar that has been looked at; it depends on nothing outside.
    is_settled: bool,
}

impl Facts {
    const UNKNOWN: Facts = Facts {
        first: ByteSet::FULL,
        is_nullable: true,
        is_nofail: false,
        is_headfail: false,
        has_captures: true,
        length: None,
        asks: true,
        is_settled: false,
    };

    /// What stands at the end of a pattern.
    const EMPTY: Facts = Facts {
        first: ByteSet::EMPTY,
        is_nullable: true,
        is_nofail: true,
        is_headfail: false,
        has_captures: false,
        length: Some(0),
        asks: false,
        is_settled: false,
    };

    fn of_set(first: ByteSet) -> Facts {
        Facts {
            first,
            is_nullable: false,
            is_nofail: false,
            is_headfail: true,
            has_captures: false,
            length: Some(1),
            asks: false,
            is_settled: false,
        }
    }

    fn then(self, next: Facts) -> Facts {
        Facts {
            first: if self.is_nullable { self.first.union(next.first) } else { self.first },
            is_nullable: self.is_nullable && (next.is_nullable || self.asks),
            is_nofail: self.is_nofail && next.is_nofail,
            is_headfail: self.is_headfail && next.is_nofail,
            has_captures: self.has_captures || next.has_captures,
            length: self.length.zip(next.length).and_then(|(a, b)| a.checked_add(b)),
            asks: self.asks || (self.is_nullable && next.asks),
            is_settled: false,
        }
    }

    fn or(self, other: Facts) -> Facts {
        Facts {
            first: self.first.union(other.first),
            is_nullable: self.is_nullable || other.is_nullable,
            is_nofail: self.is_nofail || other.is_nofail,
            is_headfail: self.is_headfail && other.is_headfail,
            has_captures: self.has_captures || other.has_captures,
            length: self.length.filter(|length| other.length == Some(*length)),
            asks: self.asks || other.asks,
            is_settled: false,
        }
    }
}

impl Pattern {
    pub(super) fn is_nullable(&self, index: usize) -> bool {
        self.is_nullable_in(index, &[])
    }

    /// Tells whether a node may consume nothing, where so is known of the rules.
    pub(super) fn is_nullable_in(&self, index: usize, rules: &[bool]) -> bool {
        match self.nodes[index].op {
            Op::True | Op::Repeat(0) | Op::AtMost(_) | Op::And | Op::Not | Op::Behind(_) => true,
            Op::False | Op::Any(_) | Op::Text { .. } | Op::Set(_) | Op::Open(_) => false,
            Op::Seq => self.children(index).all(|child| self.is_nullable_in(child, rules)),
            Op::Choice => self.children(index).any(|child| self.is_nullable_in(child, rules)),
            Op::Repeat(_) | Op::Capture(..) | Op::Runtime(_) | Op::Rule(_) => {
                self.is_nullable_in(index + 1, rules)
            }
            Op::Grammar { is_nullable, .. } => is_nullable,
            Op::Call(rule) => rules.get(rule as usize).copied().unwrap_or(false),
        }
    }

    pub(super) fn is_nofail(&self, index: usize) -> bool {
        match self.nodes[index].op {
            Op::True | Op::Repeat(0) | Op::AtMost(_) => true,
            Op::Seq => self.children(index).all(|child| self.is_nofail(child)),
            Op::Choice => self.children(index).any(|child| self.is_nofail(child)),
            Op::Repeat(_) | Op::And | Op::Capture(..) | Op::Rule(_) => self.is_nofail(index + 1),
            Op::Grammar { is_nofail, .. } => is_nofail,
            _ => false,
        }
    }

    pub(super) fn fixed_length(&self, index: usize) -> Option<u32> {
        match self.nodes[index].op {
            Op::True | Op::False | Op::And | Op::Not | Op::Behind(_) => Some(0),
            Op::Any(count) => Some(count),
            Op::Set(_) => Some(1),
            Op::Text { len, .. } => Some(len),
            Op::Seq => self
                .children(index)
                .try_fold(0_u32, |sum, child| sum.checked_add(self.fixed_length(child)?)),
            Op::Choice => {
                let mut lengths = self.children(index).map(|child| self.fixed_length(child));
                let first = lengths.next()??;
                lengths.all(|length| length == Some(first)).then_some(first)
            }
            Op::Capture(..) | Op::Rule(_) => self.fixed_length(index + 1),
            Op::Repeat(_) | Op::AtMost(_) | Op::Runtime(_) | Op::Grammar { .. } => None,
            Op::Call(_) | Op::Open(_) => None,
        }
    }

    pub(super) fn has_captures(&self, index: usize) -> bool {
        let end = index + self.nodes[index].size as usize;
        self.nodes[index..end]
            .iter()
            .any(|node| matches!(node.op, Op::Capture(..) | Op::Runtime(_)))
    }

    /// Notes the rules that a node may call before it has consumed anything.
    pub(super) fn left_calls(&self, index: usize, nullable: &[bool], calls: &mut Vec<u32>) {
        match self.nodes[index].op {
            Op::Call(rule) => calls.push(rule),
            Op::Seq => {
                for child in self.children(index) {
                    self.left_calls(child, nullable, calls);
                    if !self.is_nullable_in(child, nullable) {
                        break;
                    }
                }
            }
            // A grammar inside calls none of the rules outside.
            Op::Grammar { .. } => {}
            _ => {
                for child in self.children(index) {
                    self.left_calls(child, nullable, calls);
                }
            }
        }
    }

    /// What is known of every node.
    pub(super) fn facts(&self) -> Vec<Facts> {
        let mut facts = vec![Facts::EMPTY; self.nodes.len()];
        self.study(0, &[], &mut facts);
        facts
    }

    /// Finds out about a node, given the facts of the rules it may call.
    fn study(&self, index: usize, rules: &[Facts], facts: &mut [Facts]) -> Facts {
        let op = self.nodes[index].op;
        let found = match op {
            Op::Grammar { .. } if facts[index].is_settled => return facts[index],
            Op::Grammar { .. } => self.study_grammar(index, facts),
            Op::Call(rule) => rules.get(rule as usize).copied().unwrap_or(Facts::UNKNOWN),
            Op::Seq => self.children(index).fold(Facts::EMPTY, |known, child| {
                let next = self.study(child, rules, facts);
                // The first child decides on `is_headfail`.
                if child == index + 1 { next } else { known.then(next) }
            }),
            Op::Choice => {
                let mut children = self.children(index);
                let first = children.next().map(|child| self.study(child, rules, facts));
                children.fold(first.unwrap_or(Facts::EMPTY), |known, child| {
                    known.or(self.study(child, rules, facts))
                })
            }
            _ => {
                let child = self
                    .children(index)
                    .next()
                    .map_or(Facts::EMPTY, |child| self.study(child, rules, facts));
                self.wrap(op, child)
            }
        };
        facts[index] = found;
        found
    }

    /// What is known of a node with at most one child.
    fn wrap(&self, op: Op, child: Facts) -> Facts {
        let nothing = Facts { length: Some(0), ..Facts::EMPTY };
        match op {
            Op::True => nothing,
            Op::False => Facts { is_headfail: true, ..Facts::of_set(ByteSet::EMPTY) },
            Op::Any(1) => Facts::of_set(ByteSet::FULL),
            Op::Any(count) => {
                Facts { is_headfail: false, length: Some(count), ..Facts::of_set(ByteSet::FULL) }
            }
            Op::Text { at, len } => Facts {
                is_headfail: len == 1,
                length: Some(len),
                ..Facts::of_set(ByteSet::of(&self.text(at, len)[..1]))
            },
            Op::Set(set) => Facts::of_set(self.sets[set as usize]),
            Op::Repeat(0) | Op::AtMost(_) => Facts {
                is_nullable: true,
                is_nofail: true,
                is_headfail: false,
                length: None,
                ..child
            },
            Op::Repeat(count) => {
                Facts { is_headfail: child.is_headfail && count == 1, length: None, ..child }
            }
            Op::And => Facts {
                is_nofail: child.is_nofail,
                has_captures: child.has_captures,
                asks: child.asks,
                ..nothing
            },
            Op::Not | Op::Behind(_) => Facts {
                is_nofail: false,
                has_captures: child.has_captures,
                asks: child.asks,
                ..nothing
            },
            Op::Capture(..) => Facts { has_captures: true, ..child },
            Op::Runtime(_) => Facts {
                first: if child.is_nullable { ByteSet::FULL } else { child.first },
                is_nullable: child.is_nullable,
                asks: child.is_nullable,
                ..Facts::UNKNOWN
            },
            _ => child,
        }
    }

    fn study_grammar(&self, index: usize, facts: &mut [Facts]) -> Facts {
        let nodes: Vec<usize> = self.children(index).collect();
        let mut rules = vec![Facts::UNKNOWN; nodes.len()];
        let calls: Vec<Vec<u32>> = nodes
            .iter()
            .map(|rule| {
                let mut calls = Vec::new();
                // What stands behind a rule that consumes nothing is missed, at the price of a
                // promise less.
                self.left_calls(rule + 1, &[], &mut calls);
                calls
            })
            .collect();
        let order = left_order(&calls).unwrap_or_else(|_| (0..nodes.len()).collect());
        for _ in 0..2 {
            for rule in &order {
                rules[*rule] = self.study(nodes[*rule], &rules, facts);
            }
        }
        let first = rules.first().copied().unwrap_or(Facts::UNKNOWN);
        Facts { is_settled: true, ..first }
    }
}
