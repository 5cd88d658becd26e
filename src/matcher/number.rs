//! Numbers as they are compared: integers and doubles, neither rounded into the other.

use std::cmp::Ordering;

/// Two to the power of 63: the first double above every integer.
const ABOVE_INTEGERS: f64 = 9_223_372_036_854_775_808.0;

/// An integer or a double.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    Double(f64),
}

impl Number {
    /// The number in the one form that equal numbers share: whole doubles that fit are integers.
    pub(super) fn canonical(self) -> Number {
        match self {
            Number::Double(double) => whole(double).map_or(self, Number::Integer),
            Number::Integer(_) => self,
        }
    }

    /// Compares two numbers exactly; `None` when one is not a number.
    #[inline]
    pub(super) fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Integer(left), Number::Integer(right)) => Some(left.cmp(&right)),
            (Number::Integer(left), Number::Double(right)) => with_double(left, right),
            (Number::Double(left), Number::Integer(right)) => {
                with_double(right, left).map(Ordering::reverse)
            }
            (Number::Double(left), Number::Double(right)) => left.partial_cmp(&right),
        }
    }
}

/// The integer that `double` is, if it is one.
fn whole(double: f64) -> Option<i64> {
    let fits = (-ABOVE_INTEGERS..ABOVE_INTEGERS).contains(&double);
    (fits && double.trunc() == double).then(|| truncated(double))
}

fn with_double(integer: i64, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double >= ABOVE_INTEGERS {
        return Some(Ordering::Less);
    }
    if double < -ABOVE_INTEGERS {
        return Some(Ordering::Greater);
    }
    match integer.cmp(&truncated(double)) {
        Ordering::Equal => 0.0.partial_cmp(&double.fract()),
        unequal => Some(unequal),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the fraction is meant to go, and the rest fits"
)]
fn truncated(double: f64) -> i64 {
    double as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: Number, right: Number, expected: Option<Ordering>) {
        assert_eq!(left.compare(right), expected, "{left:?} and {right:?}");
        assert_eq!(right.compare(left), expected.map(Ordering::reverse), "{right:?} and {left:?}");
    }

    #[test]
    fn neighbours_beyond_the_precision_of_doubles_differ() {
        let limit = 1 << 53;
        check(Number::Integer(limit), Number::Integer(limit + 1), Some(Ordering::Less));
        check(Number::Integer(limit + 1), Number::Double(limit as f64), Some(Ordering::Greater));
        check(Number::Integer(i64::MAX), Number::Double(ABOVE_INTEGERS), Some(Ordering::Less));
        check(Number::Integer(i64::MIN), Number::Double(-ABOVE_INTEGERS), Some(Ordering::Equal));
        check(Number::Integer(i64::MIN), Number::Double(-1e19), Some(Ordering::Greater));
    }

    #[test]
    fn fractions_count() {
        check(Number::Integer(5), Number::Double(5.5), Some(Ordering::Less));
        check(Number::Integer(-5), Number::Double(-5.5), Some(Ordering::Greater));
        check(Number::Integer(0), Number::Double(-0.0), Some(Ordering::Equal));
        check(Number::Integer(0), Number::Double(f64::NAN), None);
    }

    #[test]
    fn equal_numbers_share_one_form() {
        assert_eq!(Number::Double(-0.0).canonical(), Number::Integer(0));
        assert_eq!(Number::Double(500.0).canonical(), Number::Integer(500));
        assert_eq!(Number::Double(0.5).canonical(), Number::Double(0.5));
        assert_eq!(Number::Double(ABOVE_INTEGERS).canonical(), Number::Double(ABOVE_INTEGERS));
    }
}
