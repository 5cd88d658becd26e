//! A pattern as a tree: nodes in prefix order, each with the number of nodes under it.
//!
//! Invariants:
//! - the children of a node follow it, one behind the other, up to the end of its size;
//! - [`Op::Seq`] and [`Op::Choice`] have two children or more, none of which is of the same kind;
//! - [`Op::Call`] means the rule of that number in the closest [`Op::Grammar`] around it, and
//!   [`Op::Open`] stands for a rule of a grammar that is yet to be made.
//!
//! Texts, sets and keys lie in tables of the pattern; values of the host are known by number alone,
//! counted in the order in which they came in.

use super::Error;
use super::set::ByteSet;

/// The most code that a pattern may become, in instructions.
pub(super) const MAX_WEIGHT: u32 = 1 << 18;

/// How deep trees may be nested.
pub(super) const MAX_DEPTH: u32 = 400;

/// No key.
pub(super) const NO_KEY: u32 = u32::MAX;

/// What a capture makes of what it matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capture {
    /// The text matched, then the values inside.
    Simple,
    /// The position.
    Position,
    /// A constant.
    Constant,
    /// An extra argument of the match, by its number.
    Argument(u32),
    /// A table of the values inside.
    Table,
    /// The values inside, under a name or together.
    Group,
    /// The values of a group, by its name.
    Back,
    /// The values inside, folded by a function.
    Fold,
    /// The text matched, with what the captures inside make of their parts.
    Substitution,
    /// A text with the captures inside put into it.
    Format,
    /// One of the values inside, by its number.
    Select(u32),
    /// What a table has under the first value inside.
    Query,
    /// What a function makes of the values inside.
    Function,
}

/// A constant, a name, or a value that only the host knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key<'a> {
    /// Nil.
    Nil,
    /// A truth.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(&'a [u8]),
    /// The next value of the host.
    Value,
}

/// A key as it is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kept {
    Nil,
    Bool(bool),
    Number(f64),
    Text { at: u32, len: u32 },
    Value(u32),
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    True,
    False,
    /// So many bytes, whichever.
    Any(u32),
    Text {
        at: u32,
        len: u32,
    },
    Set(u32),
    Seq,
    Choice,
    /// The child, as often as it goes, at least so many times.
    Repeat(u32),
    /// The child, as often as it goes, at most so many times.
    AtMost(u32),
    And,
    Not,
    /// The child, which has this length, ends here.
    Behind(u32),
    Capture(Capture, u32),
    Runtime(u32),
    Grammar {
        is_nullable: bool,
        is_nofail: bool,
    },
    /// A rule of a grammar, with its name; its body is its child.
    Rule(u32),
    Call(u32),
    Open(u32),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) op: Op,
    /// Nodes in the tree from this one on.
    pub(super) size: u32,
}

/// A pattern: what it matches and what it captures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pattern {
    pub(super) nodes: Vec<Node>,
    pub(super) bytes: Vec<u8>,
    pub(super) sets: Vec<ByteSet>,
    pub(super) keys: Vec<Kept>,
    /// How many values of the host it refers to.
    pub(super) values: u32,
    pub(super) weight: u32,
    pub(super) depth: u32,
}

impl Pattern {
    /// How many values of the host the pattern refers to.
    #[must_use]
    pub fn values(&self) -> usize {
        self.values as usize
    }

    /// Bytes it takes.
    #[must_use]
    pub fn footprint(&self) -> usize {
        size_of::<Pattern>()
            + self.nodes.len() * size_of::<Node>()
            + self.bytes.len()
            + self.sets.len() * size_of::<ByteSet>()
            + self.keys.len() * size_of::<Kept>()
    }

    pub(super) fn leaf(op: Op) -> Pattern {
        let nodes = vec![Node { op, size: 1 }];
        Pattern { nodes, weight: 1, depth: 1, ..Pattern::default() }
    }

    pub(super) fn op(&self) -> Op {
        self.nodes[0].op
    }

    /// The children of a node.
    pub(super) fn children(&self, index: usize) -> Children<'_> {
        let end = index + self.nodes[index].size as usize;
        Children { nodes: &self.nodes, next: index + 1, end }
    }

    pub(super) fn text(&self, at: u32, len: u32) -> &[u8] {
        &self.bytes[at as usize..(at + len) as usize]
    }

    /// Begins a pattern whose root is `op` and holds what is appended.
    pub(super) fn root(op: Op) -> Pattern {
        Pattern { weight: 2, ..Pattern::leaf(op) }
    }

    /// Appends a pattern, `skip` nodes of it left out, under the root.
    pub(super) fn append(&mut self, other: &Pattern, skip: usize) -> Result<(), Error> {
        let bytes = narrow(self.bytes.len())?;
        let keys = narrow(self.keys.len())?;
        let values = self.values;
        self.bytes.extend_from_slice(&other.bytes);
        let sets: Vec<u32> = other.sets.iter().map(|set| self.keep_set(*set)).collect();
        self.keys.extend(other.keys.iter().map(|key| match *key {
            Kept::Text { at, len } => Kept::Text { at: at + bytes, len },
            Kept::Value(number) => Kept::Value(number + values),
            scalar => scalar,
        }));
        let moved = |key: u32| if key == NO_KEY { NO_KEY } else { key + keys };
        self.nodes.extend(other.nodes[skip..].iter().map(|node| {
            let op = match node.op {
                Op::Text { at, len } => Op::Text { at: at + bytes, len },
                Op::Set(set) => Op::Set(sets[set as usize]),
                Op::Capture(kind, key) => Op::Capture(kind, moved(key)),
                Op::Runtime(key) => Op::Runtime(moved(key)),
                Op::Rule(key) => Op::Rule(moved(key)),
                Op::Open(key) => Op::Open(moved(key)),
                other => other,
            };
            Node { op, size: node.size }
        }));
        self.values += other.values;
        self.nodes[0].size = narrow(self.nodes.len())?;
        let below = if skip == 0 { other.depth + 1 } else { other.depth };
        self.depth = self.depth.max(below);
        self.grow(other.weight)?;
        if self.depth > MAX_DEPTH { Err(Error::TooDeep) } else { Ok(()) }
    }

    /// Counts more code.
    pub(super) fn grow(&mut self, weight: u32) -> Result<(), Error> {
        self.weight = self.weight.saturating_add(weight);
        let bytes = self.bytes.len() > MAX_WEIGHT as usize * 64;
        if self.weight > MAX_WEIGHT || bytes { Err(Error::TooBig) } else { Ok(()) }
    }

    pub(super) fn keep_text(&mut self, text: &[u8]) -> Result<(u32, u32), Error> {
        let place = (narrow(self.bytes.len())?, narrow(text.len())?);
        self.bytes.extend_from_slice(text);
        self.grow(0)?;
        Ok(place)
    }

    pub(super) fn keep_set(&mut self, set: ByteSet) -> u32 {
        // A grammar uses few sets, most of them again and again.
        let known = self.sets.iter().take(256).position(|known| *known == set);
        let index = known.unwrap_or_else(|| {
            self.sets.push(set);
            self.sets.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    pub(super) fn keep_key(&mut self, key: Key<'_>) -> Result<u32, Error> {
        let kept = match key {
            Key::Nil => Kept::Nil,
            Key::Bool(truth) => Kept::Bool(truth),
            Key::Number(number) => Kept::Number(number),
            Key::Text(text) => {
                let (at, len) = self.keep_text(text)?;
                Kept::Text { at, len }
            }
            Key::Value => {
                self.values += 1;
                Kept::Value(self.values - 1)
            }
        };
        self.keys.push(kept);
        narrow(self.keys.len() - 1)
    }

    /// A key as a person reads it.
    pub(super) fn shown_key(&self, key: u32) -> String {
        match self.keys.get(key as usize) {
            Some(Kept::Text { at, len }) => {
                String::from_utf8_lossy(self.text(*at, *len)).into_owned()
            }
            Some(Kept::Number(number)) => number.to_string(),
            Some(Kept::Bool(truth)) => truth.to_string(),
            _ => "(a value)".to_owned(),
        }
    }
}

pub(super) fn narrow(number: usize) -> Result<u32, Error> {
    u32::try_from(number).ok().filter(|number| *number < u32::MAX / 4).ok_or(Error::TooBig)
}

/// The places of the children of a node.
pub(super) struct Children<'a> {
    nodes: &'a [Node],
    next: usize,
    end: usize,
}

impl Iterator for Children<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.next >= self.end {
            return None;
        }
        let child = self.next;
        self.next += self.nodes[child].size as usize;
        Some(child)
    }
}
