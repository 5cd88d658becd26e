//! What a test asks of one value.

use std::cmp::Ordering;
use std::sync::Arc;

use super::number::Number;
use super::pattern::Matching;
use super::pattern::Pattern;
use crate::message::Value;

/// The right side of a test, with its operator.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    /// Text, compared bytewise.
    Text(Comparison, Arc<[u8]>),
    /// A regular expression that is found in the text.
    Found(Arc<Pattern>),
    /// A regular expression that is not found in the text.
    NotFound(Arc<Pattern>),
    /// A number, compared exactly.
    Number(Comparison, Number),
    /// A truth value; `!= TRUE` is `== FALSE`, since nothing but a truth value passes either.
    Truth(bool),
    /// The variable is there.
    Present,
    /// The variable is not there.
    Absent,
}

impl Condition {
    /// Tells whether a value that is there passes; a value of another type never does.
    #[inline]
    pub(super) fn holds(&self, value: Value<'_>) -> bool {
        match self {
            Condition::Text(comparison, text) => {
                value.as_bytes().is_some_and(|bytes| comparison.holds_for_text(bytes, text))
            }
            Condition::Number(comparison, number) => {
                number_of(value).is_some_and(|value| comparison.holds_for_numbers(value, *number))
            }
            Condition::Found(pattern) => value.as_bytes().is_some_and(|bytes| pattern.is_in(bytes)),
            Condition::NotFound(pattern) => {
                value.as_bytes().is_some_and(|bytes| !pattern.is_in(bytes))
            }
            Condition::Truth(truth) => value == Value::Bool(*truth),
            Condition::Present => true,
            Condition::Absent => false,
        }
    }

    /// What the test costs on a usual text, in nanoseconds, about.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Condition::Found(pattern) | Condition::NotFound(pattern) => match pattern.matching() {
                Matching::Contains(_) => 30,
                Matching::Regex { .. } => 80,
                _ => 3,
            },
            Condition::Text(..) => 3,
            _ => 2,
        }
    }
}

/// The number that a value is, if it is one.
#[inline]
pub(super) fn number_of(value: Value<'_>) -> Option<Number> {
    match value {
        Value::Integer(integer) => Some(Number::Integer(integer)),
        Value::Double(double) => Some(Number::Double(double)),
        _ => None,
    }
}

/// An operator that compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    #[inline]
    fn holds_for_text(self, left: &[u8], right: &[u8]) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            _ => self.holds(left.cmp(right)),
        }
    }

    /// Only `!=` holds for what is not a number, as everywhere.
    #[inline]
    fn holds_for_numbers(self, left: Number, right: Number) -> bool {
        left.compare(right).map_or(self == Comparison::NotEqual, |ordering| self.holds(ordering))
    }

    #[inline]
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering.is_eq(),
            Comparison::NotEqual => ordering.is_ne(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
        }
    }
}
