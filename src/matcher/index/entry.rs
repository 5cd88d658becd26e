//! What a table finds: matchers, each with what is left to evaluate.

use std::sync::Arc;

use super::super::tree::Node;
use super::operand::Operand;

/// A matcher under a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The number of the matcher among the distinct ones.
    pub(super) slot: u32,
    /// The number in [`Rests`] of what is left to evaluate.
    pub(super) rest: u32,
}

impl Entry {
    /// Stands for nothing left to evaluate.
    pub(super) const WHOLE: u32 = u32::MAX;
}

/// What is left to evaluate where a key alone does not say it all.
#[derive(Debug, Default)]
pub(super) struct Rests {
    rests: Vec<Box<[Arc<Node<Operand>>]>>,
}

impl Rests {
    /// Keeps nodes that must all hold and gives them a number.
    pub(super) fn keep(&mut self, nodes: Vec<Arc<Node<Operand>>>) -> u32 {
        if nodes.is_empty() {
            return Entry::WHOLE;
        }
        self.rests.push(nodes.into());
        u32::try_from(self.rests.len() - 1).unwrap_or(Entry::WHOLE)
    }

    /// The nodes behind a number; none for [`Entry::WHOLE`].
    #[inline]
    pub(super) fn nodes(&self, number: u32) -> &[Arc<Node<Operand>>] {
        self.rests.get(number as usize).map_or(&[], |nodes| nodes)
    }
}
