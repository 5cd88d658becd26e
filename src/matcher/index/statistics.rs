//! Guesses how many messages have a key, from what the matchers ask for.

use hashbrown::HashMap;
use hashbrown::HashSet;

use super::super::condition::Comparison;
use super::super::condition::Condition;
use super::super::number::Number;
use super::super::pattern::Matching;
use super::super::tree::Node;
use super::super::variable::Header;
use super::keys::Key;
use super::operand::Operand;

/// So many patterns on one variable are searched for one by one; more of them, all at once.
const FEW_PATTERNS: usize = 4;

/// One search looks for texts of at most so many bytes together, which bounds its memory.
const MAX_LITERAL_BYTES: usize = 1024 * 1024;

/// What the matchers ask of one variable.
#[derive(Debug, Default)]
struct Asked {
    texts: HashSet<Box<[u8]>, foldhash::fast::RandomState>,
    numbers: HashSet<(bool, u64), foldhash::fast::RandomState>,
    patterns: usize,
    /// The length of all texts that the patterns need, in bytes.
    literal_bytes: usize,
}

/// What the matchers ask for, counted.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    asked: HashMap<Operand, Asked, foldhash::fast::RandomState>,
}

impl Statistics {
    /// Counts the tests of a tree.
    pub(super) fn count(&mut self, node: &Node<Operand>) {
        match node {
            Node::Constant(_) => {}
            Node::Not(node) => self.count(node),
            Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| self.count(node)),
            Node::Test(operand, condition) => self.count_test(*operand, condition),
        }
    }

    fn count_test(&mut self, operand: Operand, condition: &Condition) {
        let asked = self.asked.entry(operand).or_default();
        match condition {
            Condition::Text(Comparison::Equal, text) => {
                asked.texts.insert(Box::from(&**text));
            }
            Condition::Number(Comparison::Equal, number) => {
                asked.numbers.insert(match number.canonical() {
                    Number::Integer(integer) => (true, integer.cast_unsigned()),
                    Number::Double(double) => (false, double.to_bits()),
                });
            }
            Condition::Found(pattern) => {
                asked.patterns += 1;
                asked.literal_bytes += match pattern.matching() {
                    Matching::Contains(finder) => finder.needle().len(),
                    Matching::Regex { required: Some(literals), .. } => {
                        literals.iter().map(|literal| literal.len()).sum()
                    }
                    _ => {
                        asked.patterns -= 1;
                        0
                    }
                };
            }
            _ => {}
        }
    }

    /// Tells whether there are so many patterns on a variable that one search looks for all.
    pub(super) fn is_searched_at_once(&self, operand: Operand) -> bool {
        self.asked.get(&operand).is_some_and(|asked| {
            asked.patterns > FEW_PATTERNS && asked.literal_bytes <= MAX_LITERAL_BYTES
        })
    }

    /// The share of messages that have the key, about.
    pub(super) fn cost(&self, operand: Operand, key: &Key) -> f64 {
        let distinct = |count: fn(&Asked) -> usize| {
            let asked = self.asked.get(&operand).map_or(0, count);
            1.0 / (asked as f64).max(usual_values(operand))
        };
        match key {
            Key::Text(_) => distinct(|asked| asked.texts.len()),
            Key::Number(_) => distinct(|asked| asked.numbers.len()),
            Key::Range(bounds) if bounds.lower.is_some() && bounds.upper.is_some() => 0.2,
            Key::Prefix(_) | Key::Suffix(_) => 0.2,
            Key::Range(_) => 0.4,
            // The search goes over the whole text, whatever it finds.
            Key::Literals(_) => 0.4,
            Key::Truth(_) => 0.5,
            Key::Present => 0.6,
        }
    }
}

/// How many values of a variable are about equally frequent.
fn usual_values(operand: Operand) -> f64 {
    match operand {
        Operand::Header(Header::Uuid | Header::Timestamp) => 1e9,
        Operand::Header(Header::Payload) => 1e3,
        Operand::Header(Header::Pid) => 1e2,
        Operand::Header(Header::Hostname) | Operand::Field(_) => 8.0,
        Operand::Header(Header::Type | Header::Logger | Header::Severity) => 4.0,
        Operand::Header(Header::EnvVersion) => 2.0,
    }
}
