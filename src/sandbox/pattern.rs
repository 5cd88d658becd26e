//! Patterns as scripts hold them, and what matching them keeps between calls.

use std::any::Any;
use std::cell::OnceCell;
use std::rc::Rc;

use super::raw::Object;
use super::raw::Place;
use crate::peg;
use crate::peg::Match;
use crate::peg::Plan;
use crate::peg::Program;

/// Tells patterns from other native objects.
pub(super) const TAG: u8 = 60;

/// Bytes of room that are kept from one match to the next.
const MAX_KEPT: usize = 256 * 1024;

/// How many matches that call the script keep their room, for when they are nested.
const MAX_POOL: usize = 4;

/// A pattern that a script holds. It does not change.
///
/// The values of the script that it refers to, functions and tables, are with its metatable; see
/// `raw/pattern.rs`.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) tree: peg::Pattern,
    /// Made when it is matched for the first time.
    pub(super) program: OnceCell<Rc<Program>>,
    /// Its number among those made while the script was loaded.
    number: Option<u32>,
    hash: OnceCell<u64>,
}

/// What tells a pattern that loading the script makes from others: its number and a hash of its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    number: u32,
    hash: u64,
}

/// A pattern as a snapshot has it.
#[derive(Debug)]
pub(super) enum Saved {
    /// Loading the script makes it.
    Loaded(Identity),
    /// It was made while the script ran.
    Made(Held),
}

impl Held {
    pub(super) fn new(tree: peg::Pattern) -> Held {
        Held { tree, program: OnceCell::new(), number: None, hash: OnceCell::new() }
    }

    /// What it is told by, if loading the script makes it.
    pub(super) fn identity(&self) -> Option<Identity> {
        let number = self.number?;
        let hash = *self.hash.get_or_init(|| {
            let mut bytes = Vec::new();
            self.tree.save(&mut bytes);
            // FNV-1a, which stays the same from build to build.
            bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            })
        });
        Some(Identity { number, hash })
    }
}

impl Saved {
    /// Reads the state of a pattern; `None` when it is damaged.
    pub(super) fn read(state: &[u8]) -> Option<Saved> {
        let (kind, rest) = state.split_first()?;
        match kind {
            0 => Some(Saved::Made(Held::new(peg::Pattern::load(rest)?))),
            1 => {
                let (number, hash) = rest.split_first_chunk()?;
                Some(Saved::Loaded(Identity {
                    number: u32::from_le_bytes(*number),
                    hash: u64::from_le_bytes(hash.try_into().ok()?),
                }))
            }
            _ => None,
        }
    }
}

impl Object for Held {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        let program = self.program.get().map_or(0, |program| program.footprint());
        self.tree.footprint() + program + size_of::<Held>()
    }

    fn print(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }

    /// Of a pattern that loading the script makes, what it is told by; of another the tree.
    fn save(&self, out: &mut Vec<u8>) {
        if let Some(Identity { number, hash }) = self.identity() {
            out.push(1);
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&hash.to_le_bytes());
        } else {
            out.push(0);
            self.tree.save(out);
        }
    }

    fn restore(&mut self, _: &[u8]) -> Result<(), String> {
        Err("a pattern does not change".to_owned())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn as_pattern(&self) -> Option<&Held> {
        Some(self)
    }
}

/// Where a value that a new pattern refers to comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// The argument of this number.
    Argument(usize),
    /// All values of the pattern that is the argument of this number.
    Pattern(usize),
    /// All values of the pattern at a place of the table that is the argument of this number.
    Rule(usize, Place),
}

/// What patterns need of the host.
#[derive(Debug)]
pub(super) struct Patterns {
    /// Where the values of the pattern being made come from, in order.
    pub(super) sources: Vec<Source>,
    /// The most choices and calls of a match at a time.
    pub(super) max_stack: usize,
    /// How many patterns loading the script has made; `None` once it is loaded.
    loaded: Option<u32>,
    /// The number of the last predicate that a number stands for.
    last_look: i32,
    /// For matches during which the script is not called.
    pub(super) running: Box<Running>,
    /// For matches during which it may be, which own what they take from here.
    #[allow(clippy::vec_box, reason = "userdata point to them")]
    pub(super) pool: Vec<Box<Running>>,
}

impl Default for Patterns {
    fn default() -> Patterns {
        Patterns {
            sources: Vec::new(),
            max_stack: Patterns::MAX_STACK,
            loaded: Some(0),
            last_look: 0,
            running: Box::default(),
            pool: Vec::new(),
        }
    }
}

impl Patterns {
    /// As in LPeg.
    const MAX_STACK: usize = 400;

    /// At most so many predicates are kept that numbers stand for; the oldest are given up first.
    pub(super) const MAX_LOOKS: i32 = 1 << 13;

    /// The number of the next predicate that a number stands for.
    pub(super) fn next_look(&mut self) -> i32 {
        self.last_look = self.last_look.saturating_add(1);
        self.last_look
    }

    /// A pattern as a script is to hold it.
    pub(super) fn hold(&mut self, tree: peg::Pattern) -> Held {
        let number = self.loaded;
        self.loaded = number.map(|number| number.saturating_add(1));
        Held { number, ..Held::new(tree) }
    }

    /// Notes that the script is loaded: what is made from now on is made by running it.
    pub(super) fn end_loading(&mut self) {
        self.loaded = None;
    }

    /// Room for a match during which the script may be called.
    pub(super) fn take(&mut self) -> Box<Running> {
        self.pool.pop().unwrap_or_default()
    }

    /// Gives such room back.
    pub(super) fn give(&mut self, mut running: Box<Running>) {
        running.settle();
        if self.pool.len() < MAX_POOL {
            self.pool.push(running);
        }
    }
}

/// A match that is under way.
#[derive(Debug, Default)]
pub(super) struct Running {
    pub(super) machine: Match,
    pub(super) plan: Plan,
    /// Heights of the Lua stack that a plan has marked; for tables, how many items they have.
    pub(super) marks: Vec<(i32, i32)>,
    /// Texts that are being put together, and where each begins.
    pub(super) text: Vec<u8>,
    pub(super) text_starts: Vec<usize>,
}

impl Running {
    /// Gives up room that is more than most matches need.
    pub(super) fn settle(&mut self) {
        let bytes = self.machine.footprint() + self.plan.footprint() + self.text.capacity();
        if bytes > MAX_KEPT {
            *self = Running::default();
        }
    }
}
