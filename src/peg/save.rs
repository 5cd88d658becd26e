//! Patterns as bytes, for snapshots.
//!
//! Numbers are little-endian, four bytes wide:
//!
//! | what | how |
//! | --- | --- |
//! | values, weight, depth | |
//! | count, texts | bytes |
//! | count, sets | 32 bytes each |
//! | count, keys | tag, then 8 bytes for a number, place and length for a text, the number of a value |
//! | count, nodes | tag, two numbers, size |

use super::set::ByteSet;
use super::tree::Capture;
use super::tree::Kept;
use super::tree::MAX_DEPTH;
use super::tree::MAX_WEIGHT;
use super::tree::NO_KEY;
use super::tree::Node;
use super::tree::Op;
use super::tree::Pattern;

impl Pattern {
    /// Appends the pattern as bytes.
    pub fn save(&self, out: &mut Vec<u8>) {
        let word = |out: &mut Vec<u8>, word: u32| out.extend_from_slice(&word.to_le_bytes());
        let count = |out: &mut Vec<u8>, count: usize| {
            word(out, u32::try_from(count).unwrap_or(u32::MAX));
        };
        word(out, self.values);
        word(out, self.weight);
        word(out, self.depth);
        count(out, self.bytes.len());
        out.extend_from_slice(&self.bytes);
        count(out, self.sets.len());
        for set in &self.sets {
            for bits in set.words() {
                out.extend_from_slice(&bits.to_le_bytes());
            }
        }
        count(out, self.keys.len());
        for key in &self.keys {
            let (tag, first, second) = match *key {
                Kept::Nil => (0, 0, 0),
                Kept::Bool(truth) => (1, u32::from(truth), 0),
                Kept::Number(number) => {
                    let bits = number.to_bits();
                    #[allow(clippy::cast_possible_truncation, reason = "the halves are meant")]
                    (2, bits as u32, (bits >> 32) as u32)
                }
                Kept::Text { at, len } => (3, at, len),
                Kept::Value(number) => (4, number, 0),
            };
            out.push(tag);
            word(out, first);
            word(out, second);
        }
        count(out, self.nodes.len());
        for node in &self.nodes {
            let (tag, first, second) = parts(node.op);
            out.push(tag);
            word(out, first);
            word(out, second);
            word(out, node.size);
        }
    }

    /// Reads a pattern; `None` when it is damaged.
    #[must_use]
    pub fn load(bytes: &[u8]) -> Option<Pattern> {
        let mut reader = Reader { rest: bytes };
        let (values, weight, depth) = (reader.word()?, reader.word()?, reader.word()?);
        let length = reader.count(1)?;
        let texts = reader.raw(length)?.to_vec();
        let mut sets = Vec::new();
        for _ in 0..reader.count(32)? {
            let mut words = [0; 4];
            for word in &mut words {
                *word = u64::from_le_bytes(reader.raw(8)?.try_into().ok()?);
            }
            sets.push(ByteSet::of_words(words));
        }
        let mut keys = Vec::new();
        for _ in 0..reader.count(9)? {
            let tag = reader.raw(1)?[0];
            let (first, second) = (reader.word()?, reader.word()?);
            keys.push(match tag {
                0 => Kept::Nil,
                1 => Kept::Bool(first != 0),
                2 => Kept::Number(f64::from_bits(u64::from(second) << 32 | u64::from(first))),
                3 => Kept::Text { at: first, len: second },
                4 => Kept::Value(first),
                _ => return None,
            });
        }
        let mut nodes = Vec::new();
        for _ in 0..reader.count(13)? {
            let tag = reader.raw(1)?[0];
            let (first, second) = (reader.word()?, reader.word()?);
            nodes.push(Node { op: whole(tag, first, second)?, size: reader.word()? });
        }
        let pattern = Pattern { nodes, bytes: texts, sets, keys, values, weight, depth };
        (reader.rest.is_empty() && pattern.is_sound()).then_some(pattern)
    }

    /// Tells whether all it refers to is there.
    fn is_sound(&self) -> bool {
        let has_text = |at: u32, len: u32| {
            at.checked_add(len).is_some_and(|end| end as usize <= self.bytes.len())
        };
        let has_key = |key: u32| (key as usize) < self.keys.len();
        let are_keys_sound = self.keys.iter().all(|key| match *key {
            Kept::Text { at, len } => has_text(at, len),
            Kept::Value(number) => number < self.values,
            _ => true,
        });
        let are_ops_sound = self.nodes.iter().all(|node| match node.op {
            Op::Text { at, len } => len > 0 && has_text(at, len),
            Op::Set(set) => (set as usize) < self.sets.len(),
            Op::Capture(_, key) => key == NO_KEY || has_key(key),
            Op::Runtime(key) | Op::Rule(key) | Op::Open(key) => has_key(key),
            _ => true,
        });
        are_keys_sound
            && are_ops_sound
            && self.weight <= MAX_WEIGHT
            && self.depth <= MAX_DEPTH
            && !self.nodes.is_empty()
            && self.is_tree(0, self.nodes.len(), 0, 0)
    }

    /// Tells whether the nodes from `index` to `end` are one tree.
    fn is_tree(&self, index: usize, end: usize, depth: u32, rules: usize) -> bool {
        let Some(node) = self.nodes.get(index) else { return false };
        if depth > MAX_DEPTH || index + node.size as usize != end || node.size == 0 {
            return false;
        }
        let mut children = Vec::new();
        let mut next = index + 1;
        while next < end {
            let size = self.nodes[next].size as usize;
            if size == 0 || next + size > end {
                return false;
            }
            children.push((next, next + size));
            next += size;
        }
        let is_rule = |child: &(usize, usize)| matches!(self.nodes[child.0].op, Op::Rule(_));
        let (fits, rules) = match node.op {
            Op::Seq | Op::Choice => (children.len() > 1, rules),
            Op::Grammar { .. } => {
                (!children.is_empty() && children.iter().all(is_rule), children.len())
            }
            Op::Repeat(_) | Op::AtMost(_) | Op::And | Op::Not | Op::Behind(_) => {
                (children.len() == 1, rules)
            }
            Op::Capture(..) | Op::Runtime(_) | Op::Rule(_) => (children.len() == 1, rules),
            Op::Call(rule) => (children.is_empty() && (rule as usize) < rules, rules),
            _ => (children.is_empty(), rules),
        };
        fits && children.iter().all(|(start, end)| self.is_tree(*start, *end, depth + 1, rules))
    }
}

/// An operation as a tag and two numbers.
fn parts(op: Op) -> (u8, u32, u32) {
    match op {
        Op::True => (0, 0, 0),
        Op::False => (1, 0, 0),
        Op::Any(count) => (2, count, 0),
        Op::Text { at, len } => (3, at, len),
        Op::Set(set) => (4, set, 0),
        Op::Seq => (5, 0, 0),
        Op::Choice => (6, 0, 0),
        Op::Repeat(count) => (7, count, 0),
        Op::AtMost(count) => (8, count, 0),
        Op::And => (9, 0, 0),
        Op::Not => (10, 0, 0),
        Op::Behind(length) => (11, length, 0),
        Op::Runtime(key) => (12, key, 0),
        Op::Grammar { is_nullable, is_nofail } => {
            (13, u32::from(is_nullable), u32::from(is_nofail))
        }
        Op::Rule(key) => (14, key, 0),
        Op::Call(rule) => (15, rule, 0),
        Op::Open(key) => (16, key, 0),
        Op::Capture(kind, key) => {
            let (tag, number) = match kind {
                Capture::Simple => (32, 0),
                Capture::Position => (33, 0),
                Capture::Constant => (34, 0),
                // An argument and a selection have no key.
                Capture::Argument(number) => return (35, number, 0),
                Capture::Table => (36, 0),
                Capture::Group => (37, 0),
                Capture::Back => (38, 0),
                Capture::Fold => (39, 0),
                Capture::Substitution => (40, 0),
                Capture::Format => (41, 0),
                Capture::Select(number) => return (42, number, 0),
                Capture::Query => (43, 0),
                Capture::Function => (44, 0),
            };
            (tag, key, number)
        }
    }
}

fn whole(tag: u8, first: u32, second: u32) -> Option<Op> {
    let capture = |kind| Op::Capture(kind, first);
    Some(match tag {
        0 => Op::True,
        1 => Op::False,
        2 => Op::Any(first),
        3 => Op::Text { at: first, len: second },
        4 => Op::Set(first),
        5 => Op::Seq,
        6 => Op::Choice,
        7 => Op::Repeat(first),
        8 => Op::AtMost(first),
        9 => Op::And,
        10 => Op::Not,
        11 => Op::Behind(first),
        12 => Op::Runtime(first),
        13 => Op::Grammar { is_nullable: first != 0, is_nofail: second != 0 },
        14 => Op::Rule(first),
        15 => Op::Call(first),
        16 => Op::Open(first),
        32 => capture(Capture::Simple),
        33 => capture(Capture::Position),
        34 => capture(Capture::Constant),
        35 => Op::Capture(Capture::Argument(first), NO_KEY),
        36 => capture(Capture::Table),
        37 => capture(Capture::Group),
        38 => capture(Capture::Back),
        39 => capture(Capture::Fold),
        40 => capture(Capture::Substitution),
        41 => capture(Capture::Format),
        42 => Op::Capture(Capture::Select(first), NO_KEY),
        43 => capture(Capture::Query),
        44 => capture(Capture::Function),
        _ => return None,
    })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn raw(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.raw(4)?.try_into().ok()?))
    }

    /// A count of things that take so many bytes each.
    fn count(&mut self, each: usize) -> Option<usize> {
        let count = self.word()? as usize;
        (count.checked_mul(each)? <= self.rest.len()).then_some(count)
    }
}
