//! All keys on one variable, to be looked up by its value.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use aho_corasick::MatchKind;
use hashbrown::HashMap;

use super::super::condition::number_of;
use super::super::number::Number;
use super::entry::Entry;
use super::keys::Bounds;
use super::keys::Key;
use super::ranges::Ranges;
use super::trie::Trie;
use crate::message::Value;

type Map<K> = HashMap<K, Vec<Entry>, foldhash::fast::RandomState>;

/// The keys on one variable, and what stands under each.
#[derive(Debug, Default)]
pub(super) struct Table {
    texts: Map<Arc<[u8]>>,
    integers: Map<i64>,
    /// Numbers that are no integers, by their bits.
    doubles: Map<u64>,
    truths: [Vec<Entry>; 2],
    ranges: Ranges,
    prefixes: Trie,
    suffixes: Trie,
    literals: Option<Literals>,
    present: Vec<Entry>,
}

/// Texts that are searched for in one pass.
#[derive(Debug)]
struct Literals {
    search: AhoCorasick,
    /// What stands under each text.
    entries: Vec<Vec<Entry>>,
    /// The number of the first text among those of all tables.
    first: usize,
}

/// Which texts have been found in the message at hand, so that one found often counts once.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// For each text of all tables, in which message it was found last.
    stamps: Vec<u32>,
}

impl Found {
    pub(super) fn new(texts: usize) -> Found {
        Found { stamps: vec![0; texts] }
    }

    /// Notes a text; `false` when it was there already.
    #[inline]
    fn note(&mut self, text: usize, stamp: u32) -> bool {
        std::mem::replace(&mut self.stamps[text], stamp) != stamp
    }
}

/// What is collected for a table before it is built.
#[derive(Debug, Default)]
pub(super) struct Draft {
    table: Table,
    ranges: Vec<(Bounds, Entry)>,
    literals: Map<Box<[u8]>>,
}

impl Draft {
    /// Enters `entry` under `key`.
    pub(super) fn enter(&mut self, key: &Key, entry: Entry) {
        let table = &mut self.table;
        match key {
            Key::Text(text) => table.texts.entry(text.clone()).or_default().push(entry),
            Key::Number(Number::Integer(integer)) => {
                table.integers.entry(*integer).or_default().push(entry);
            }
            Key::Number(Number::Double(double)) => {
                table.doubles.entry(double.to_bits()).or_default().push(entry);
            }
            Key::Truth(truth) => table.truths[usize::from(*truth)].push(entry),
            Key::Range(bounds) => self.ranges.push((*bounds, entry)),
            Key::Prefix(text) => table.prefixes.insert(text.iter().copied(), entry),
            Key::Suffix(text) => table.suffixes.insert(text.iter().rev().copied(), entry),
            Key::Literals(texts) => {
                for text in texts {
                    self.literals.entry(text.clone()).or_default().push(entry);
                }
            }
            Key::Present => table.present.push(entry),
        }
    }

    /// Builds the table; `texts_before` counts the texts of all tables built so far.
    pub(super) fn build(self, texts_before: &mut usize) -> Table {
        let Draft { mut table, ranges, literals } = self;
        table.ranges = Ranges::new(ranges);
        let (texts, entries): (Vec<_>, Vec<_>) = literals.into_iter().unzip();
        if !texts.is_empty() {
            let search = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(&texts)
                .expect("a few MiB of texts are far from what a search can hold");
            let first = *texts_before;
            *texts_before += texts.len();
            table.literals = Some(Literals { search, entries, first });
        }
        table
    }
}

impl Table {
    /// Hands all entries to `found` whose key `value` has, in message number `stamp`.
    #[inline]
    pub(super) fn visit(
        &self,
        value: Value<'_>,
        (texts, stamp): (&mut Found, u32),
        found: &mut impl FnMut(&[Entry]),
    ) {
        if !self.present.is_empty() {
            found(&self.present);
        }
        match value {
            Value::String(text) | Value::Bytes(text) => {
                self.visit_text(text, found);
                if let Some(literals) = &self.literals {
                    literals.visit(text, (texts, stamp), found);
                }
            }
            Value::Bool(truth) => found(&self.truths[usize::from(truth)]),
            Value::Integer(_) | Value::Double(_) => {
                if let Some(number) = number_of(value) {
                    self.visit_number(number, found);
                }
            }
        }
    }

    fn visit_text(&self, text: &[u8], found: &mut impl FnMut(&[Entry])) {
        if !self.texts.is_empty()
            && let Some(entries) = self.texts.get(text)
        {
            found(entries);
        }
        if !self.prefixes.is_empty() {
            self.prefixes.visit(text.iter().copied(), found);
        }
        if !self.suffixes.is_empty() {
            self.suffixes.visit(text.iter().rev().copied(), found);
        }
    }

    fn visit_number(&self, number: Number, found: &mut impl FnMut(&[Entry])) {
        let entries = match number.canonical() {
            Number::Integer(integer) if !self.integers.is_empty() => self.integers.get(&integer),
            Number::Double(double) if !self.doubles.is_empty() => {
                self.doubles.get(&double.to_bits())
            }
            _ => None,
        };
        if let Some(entries) = entries {
            found(entries);
        }
        if !self.ranges.is_empty() {
            self.ranges.visit(number, found);
        }
    }
}

impl Literals {
    fn visit(
        &self,
        text: &[u8],
        (texts, stamp): (&mut Found, u32),
        found: &mut impl FnMut(&[Entry]),
    ) {
        for hit in self.search.find_overlapping_iter(text) {
            let literal = hit.pattern().as_usize();
            if texts.note(self.first + literal, stamp) {
                found(&self.entries[literal]);
            }
        }
    }
}
