//! What two versions have injected, one beside the other.
//!
//! - Same content at the same time is the same.
//! - Same content at another time has moved: the earliest that is left of the one goes with the
//!   earliest that is left of the other.
//! - What nothing goes with has been added or removed.
//!
//! Whether something has moved may show much later. So what is open waits, in order and with all
//! that comes behind it, until [`MAX_WAITING`] bytes do; then the earliest is told as added or
//! removed. Content is all but name, time, host and process of a message.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::hash::Hasher;

use super::lane::Side;
use crate::message::Message;
use crate::message::Value;

/// At most so many bytes wait.
const MAX_WAITING: usize = 64 << 20;
/// What a message takes besides its own bytes, about.
const OVERHEAD: usize = 160;

/// A message that a version has injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Injected {
    /// The entry it came of.
    pub(super) entry: u64,
    /// The time of that entry, in nanoseconds since the epoch.
    pub(super) time: i64,
    /// The encoded message.
    pub(super) message: Vec<u8>,
    /// What stands for its content.
    pub(super) content: u128,
    pub(super) is_alert: bool,
}

/// How it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Both have it.
    Same,
    /// Only the new version has it.
    Added,
    /// Only the old version has it.
    Removed,
    /// The old version has it at the one time, the new one at the other.
    Moved { from: i64, to: i64 },
}

/// Told of each message, in the order of their times.
pub(super) type Tell<'a> = &'a mut dyn FnMut(&Injected, Change) -> anyhow::Result<()>;

#[derive(Debug)]
struct Waiting {
    side: Side,
    injected: Injected,
    change: Option<Change>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Differences {
    waiting: VecDeque<Waiting>,
    /// The number of the first that waits.
    first: u64,
    /// The numbers of those that are open, by version and content.
    open: [HashMap<u128, VecDeque<u64>>; 2],
    bytes: usize,
}

impl Differences {
    /// Takes what both have injected at one time.
    ///
    /// # Errors
    /// Those of `tell`.
    pub(super) fn step(
        &mut self,
        old: Vec<Injected>,
        new: Vec<Injected>,
        tell: Tell<'_>,
    ) -> anyhow::Result<()> {
        let mut same: HashMap<u128, usize> = HashMap::new();
        for injected in &new {
            *same.entry(injected.content).or_default() += 1;
        }
        let mut pairs: HashMap<u128, usize> = HashMap::new();
        for injected in old {
            match same.get_mut(&injected.content) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    *pairs.entry(injected.content).or_default() += 1;
                }
                _ => self.find(Side::Old, injected),
            }
        }
        for injected in new {
            match pairs.get_mut(&injected.content) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    self.push(Side::New, injected, Some(Change::Same));
                }
                _ => self.find(Side::New, injected),
            }
        }
        self.tell(MAX_WAITING, tell)
    }

    /// Tells what waits still.
    ///
    /// # Errors
    /// Those of `tell`.
    pub(super) fn end(&mut self, tell: Tell<'_>) -> anyhow::Result<()> {
        self.tell(0, tell)
    }

    /// Finds what goes with a message of one version, or has it wait.
    fn find(&mut self, side: Side, injected: Injected) {
        let others = &mut self.open[usize::from(side == Side::Old)];
        let Some(numbers) = others.get_mut(&injected.content) else {
            return self.push(side, injected, None);
        };
        let number = numbers.pop_front();
        if numbers.is_empty() {
            others.remove(&injected.content);
        }
        let at = number.and_then(|number| usize::try_from(number - self.first).ok());
        let Some(waiting) = at.and_then(|at| self.waiting.get_mut(at)) else { return };
        let (earlier, later) = (waiting.injected.time, injected.time);
        waiting.change = Some(match side {
            Side::New => Change::Moved { from: earlier, to: later },
            Side::Old => Change::Moved { from: later, to: earlier },
        });
    }

    fn push(&mut self, side: Side, injected: Injected, change: Option<Change>) {
        if change.is_none() {
            let number = self.first + self.waiting.len() as u64;
            let own = &mut self.open[usize::from(side == Side::New)];
            own.entry(injected.content).or_default().push_back(number);
        }
        self.bytes += injected.message.len() + OVERHEAD;
        self.waiting.push_back(Waiting { side, injected, change });
    }

    /// Tells what is no longer open, and what exceeds `most` bytes.
    fn tell(&mut self, most: usize, tell: Tell<'_>) -> anyhow::Result<()> {
        while let Some(front) = self.waiting.front() {
            if front.change.is_none() && self.bytes <= most && most > 0 {
                break;
            }
            let Some(front) = self.waiting.pop_front() else { break };
            self.first += 1;
            self.bytes -= front.injected.message.len() + OVERHEAD;
            let change = front.change.unwrap_or_else(|| {
                let own = &mut self.open[usize::from(front.side == Side::New)];
                if let Some(numbers) = own.get_mut(&front.injected.content) {
                    // The earliest of all is the earliest of its content.
                    numbers.pop_front();
                    if numbers.is_empty() {
                        own.remove(&front.injected.content);
                    }
                }
                if front.side == Side::New { Change::Added } else { Change::Removed }
            });
            tell(&front.injected, change)?;
        }
        Ok(())
    }
}

/// What stands for the content of a message.
pub(super) fn content(message: &Message<'_>) -> u128 {
    let half = |seed| {
        let mut hasher = foldhash::quality::FixedState::with_seed(seed).build_hasher();
        for part in [
            message.message_type(),
            message.logger(),
            message.payload(),
            message.env_version(),
            &message.severity().to_le_bytes(),
        ] {
            put(&mut hasher, part);
        }
        for field in message.fields() {
            put(&mut hasher, field.name());
            put(&mut hasher, field.representation());
            for value in field.values() {
                match value {
                    Value::String(text) => put(&mut hasher, text),
                    Value::Bytes(bytes) => put(&mut hasher, bytes),
                    Value::Integer(number) => hasher.write_i64(number),
                    Value::Double(number) => hasher.write_u64(number.to_bits()),
                    Value::Bool(truth) => hasher.write_u8(truth.into()),
                }
            }
        }
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}

fn put(hasher: &mut impl Hasher, part: &[u8]) {
    hasher.write_usize(part.len());
    hasher.write(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps are letters of the old version and of the new one; what is expected is letters with
    /// `=`, `+`, `-` or `~` and the step it moved to before them.
    fn check(steps: &[(&str, &str)], most: usize, expected: &str) {
        let mut told = String::new();
        let mut tell = |injected: &Injected, change| {
            let letter = char::from(injected.message[0]);
            match change {
                Change::Same => told += "=",
                Change::Added => told += "+",
                Change::Removed => told += "-",
                Change::Moved { from, to } => told += &format!("{from}~{to}"),
            }
            told.push(letter);
            Ok(())
        };
        let mut differences = Differences::default();
        for (time, (old, new)) in (0..).zip(steps) {
            let of = |letters: &str| {
                let one = |letter: u8| Injected {
                    entry: 0,
                    time,
                    message: vec![letter],
                    content: letter.into(),
                    is_alert: false,
                };
                letters.bytes().map(one).collect::<Vec<_>>()
            };
            differences.step(of(old), of(new), &mut tell).unwrap();
            differences.tell(most, &mut tell).unwrap();
        }
        differences.end(&mut tell).unwrap();
        assert!(differences.open.iter().all(HashMap::is_empty));
        assert_eq!(differences.bytes, 0);
        assert_eq!(told, expected, "{steps:?}");
    }

    #[test]
    fn what_differs_is_told_in_order() {
        check(&[("ab", "ab")], MAX_WAITING, "=a=b");
        check(&[("ab", "bc")], MAX_WAITING, "-a=b+c");
        check(&[("a", ""), ("", ""), ("", "a")], MAX_WAITING, "0~2a");
        check(&[("", "a"), ("a", "")], MAX_WAITING, "1~0a");
        check(&[("aa", "a"), ("b", "b")], MAX_WAITING, "-a=a=b");
        check(&[("a", ""), ("a", "a"), ("", "a")], MAX_WAITING, "0~2a=a");
    }

    #[test]
    fn what_waits_is_bounded() {
        check(&[("a", ""), ("b", ""), ("", "a")], OVERHEAD + 1, "-a-b+a");
    }
}
