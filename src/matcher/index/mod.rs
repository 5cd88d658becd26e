//! Many matchers, asked at once: what a message costs depends on how many match it.
//!
//! Building: equal rows become one **slot**; every slot is entered under its keys (`keys`, chosen
//! with the help of `statistics`) in the tables of the variables (`table` with `ranges` and
//! `trie`). Asking (`scan`): one walk over a message finds the fields that any matcher names
//! (`names`), each table is asked once, and only what stands under the keys found is evaluated,
//! as far as the key has not said it already (`entry`). `matches` sorts what was hit by slot.
//!
//! For every message:
//! - a matcher that is always true costs nothing, nor does one whose key the message lacks;
//! - a matcher without a key (`Type != 'x'`, `NOT …`, `/a|b/`) is evaluated.

mod entry;
mod keys;
mod matches;
mod names;
mod operand;
mod ranges;
mod scan;
mod statistics;
mod table;
mod trie;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use hashbrown::HashMap;

use super::Matcher;
use super::tree::Node;
use super::variable::Header;
use crate::message::Batch;

pub use matches::Matches;

use entry::Entry;
use entry::Rests;
use matches::Place;
use names::Names;
use operand::Operand;
use operand::Operands;
use scan::Scan;
use statistics::Statistics;
use table::Draft;
use table::Table;

/// One who wants messages: what they must match, and who must have signed them.
#[derive(Clone, Debug)]
pub struct Row {
    /// What the messages must match.
    pub matcher: Matcher,
    /// Who must have signed them; nobody in particular when `None` or empty.
    pub signer: Option<String>,
}

/// The matchers of all readers, asked at once for a batch.
#[derive(Debug)]
pub struct Index {
    generation: u64,
    places: Arc<[Place]>,
    plans: Plans,
}

/// The tables of an index.
#[derive(Debug, Default)]
struct Plans {
    header_tables: Vec<(Header, Table)>,
    /// One for each field that a matcher names; `None` when it is only read to evaluate.
    field_tables: Vec<Option<Table>>,
    names: Names,
    /// Matchers without a key.
    always: Vec<Entry>,
    rests: Rests,
    /// How many texts all tables search for.
    texts: usize,
    /// Who must have signed, for each slot: a number counted from one, 0 for nobody.
    signers_of: Vec<u32>,
    signers: HashMap<String, u32>,
}

impl Plans {
    /// The number of a signer whom some slot demands, else 0.
    fn signer_number(&self, signer: &str) -> u32 {
        self.signers.get(signer).copied().unwrap_or(0)
    }
}

/// Tells indexes apart.
static GENERATIONS: AtomicU64 = AtomicU64::new(1);

impl Index {
    /// Builds the index; the number of a row is its id.
    #[must_use]
    pub fn new(rows: Vec<Row>) -> Index {
        let mut builder = Builder::default();
        let places = rows.iter().map(|row| builder.place(row)).collect();
        Index {
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            places,
            plans: builder.build(),
        }
    }

    /// A number that no other index of this process has.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Which messages of the batch every row matches.
    ///
    /// The first to ask evaluates and leaves the answer with the batch, the others find it there.
    /// Of a batch larger than [`Batch::MAX_MESSAGES`] the first 65 536 messages are evaluated.
    #[must_use]
    pub fn evaluate(&self, batch: &Batch) -> Arc<Matches> {
        let left = batch.answer().left(self.generation);
        if let Some(matches) = left.and_then(|left| left.downcast::<Matches>().ok()) {
            return matches;
        }
        let matches = Arc::new(self.compute(batch));
        batch.answer().leave(self.generation, matches.clone());
        matches
    }

    /// As [`Index::evaluate`], without looking for an answer or leaving one: for a reader whose
    /// index nobody else asks.
    #[must_use]
    pub fn compute(&self, batch: &Batch) -> Matches {
        let mut scan = Scan::new(&self.plans);
        scan.run(batch);
        let all = if self.places.contains(&Place::All) {
            (0..=u16::MAX).take(batch.len()).collect()
        } else {
            Box::default()
        };
        Matches::new(self.places.clone(), &scan.counts, &scan.hits, all)
    }
}

/// An index being built.
#[derive(Debug, Default)]
struct Builder {
    operands: Operands,
    slots: Vec<Node<Operand>>,
    known: HashMap<(String, u32), u32>,
    plans: Plans,
}

impl Builder {
    /// Where the row will find its answer.
    fn place(&mut self, row: &Row) -> Place {
        let signer = match row.signer.as_deref() {
            None | Some("") => 0,
            Some(signer) => self.signer(signer),
        };
        match row.matcher.tree() {
            Node::Constant(false) => return Place::None,
            Node::Constant(true) if signer == 0 => return Place::All,
            _ => {}
        }
        let next = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let identity = (row.matcher.source().to_owned(), signer);
        let slot = *self.known.entry(identity).or_insert_with(|| {
            self.slots.push(self.operands.number(row.matcher.tree()));
            self.plans.signers_of.push(signer);
            next
        });
        Place::Slot(slot)
    }

    fn signer(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.plans.signers.len() + 1).unwrap_or(u32::MAX);
        *self.plans.signers.entry(name.to_owned()).or_insert(next)
    }

    fn build(self) -> Plans {
        let Builder { operands, slots, mut plans, .. } = self;
        let mut statistics = Statistics::default();
        for tree in &slots {
            statistics.count(tree);
        }
        let mut drafts = BTreeMap::<usize, Draft>::new();
        for (tree, slot) in slots.into_iter().zip(0..) {
            let Some(plan) = keys::plan(&tree, &statistics) else {
                let rest = match tree {
                    Node::Constant(true) => Entry::WHOLE,
                    tree => plans.rests.keep(vec![Arc::new(tree)]),
                };
                plans.always.push(Entry { slot, rest });
                continue;
            };
            for alternative in plan.alternatives {
                let rest = plans.rests.keep(alternative.rest);
                let draft = drafts.entry(alternative.operand.number()).or_default();
                draft.enter(&alternative.key, Entry { slot, rest });
            }
        }
        for header in Header::ALL {
            if let Some(draft) = drafts.remove(&Operand::Header(header).number()) {
                plans.header_tables.push((header, draft.build(&mut plans.texts)));
            }
        }
        let fields = operands.fields();
        plans.names = Names::new(fields);
        for field in (0..).take(fields.len()) {
            let draft = drafts.remove(&Operand::Field(field).number());
            plans.field_tables.push(draft.map(|draft| draft.build(&mut plans.texts)));
        }
        plans
    }
}
