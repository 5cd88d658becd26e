//! The Mann-Whitney U test (1947), by ranks, corrected for ties, with the normal approximation.

use super::CircularBuffer;
use crate::analysis::normal;

/// The result of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// In how many pairs the value of the first stretch is the larger one; ties count half.
    pub u: f64,
    /// How likely a difference at least this large, in this direction, is by chance.
    pub p: f64,
}

impl CircularBuffer {
    /// Compares two stretches of a column, each from and to in nanoseconds; `None` when one is not
    /// within the window or empty, or all values are the same.
    #[must_use]
    pub fn mann_whitney(
        &self,
        column: usize,
        one: (i64, i64),
        other: (i64, i64),
        uses_continuity: bool,
    ) -> Option<MannWhitney> {
        self.checked(column)?;
        let mut ranked: Vec<(f64, bool)> = Vec::new();
        for (ends, is_first) in [(one, true), (other, false)] {
            let (first, last) = self.stretch(Some(ends.0), Some(ends.1))?;
            ranked.extend(self.column(column, first, last).map(|value| (value, is_first)));
        }
        test(&mut ranked, uses_continuity)
    }

    /// Tells whether two stretches of time share a row.
    #[must_use]
    pub fn overlap(&self, one: (i64, i64), other: (i64, i64)) -> bool {
        let rows = |ends: (i64, i64)| (self.interval_of(ends.0), self.interval_of(ends.1));
        let (one, other) = (rows(one), rows(other));
        one.0 <= other.1 && other.0 <= one.1
    }
}

/// Tests values that carry whether they are of the first sample.
fn test(ranked: &mut [(f64, bool)], uses_continuity: bool) -> Option<MannWhitney> {
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let total = ranked.len() as f64;
    let first = ranked.iter().filter(|(_, is_first)| *is_first).count() as f64;
    let second = total - first;
    if first == 0.0 || second == 0.0 {
        return None;
    }
    let mut rank_sum = 0.0;
    let mut ties = 0.0;
    let mut below = 0;
    for group in ranked.chunk_by(|a, b| a.0 == b.0) {
        let size = group.len() as f64;
        // All of a group have the mean of the ranks they take up.
        let rank = below as f64 + size.midpoint(1.0);
        rank_sum += rank * group.iter().filter(|(_, is_first)| *is_first).count() as f64;
        ties += size * size * size - size;
        below += group.len();
    }
    let correction = 1.0 - ties / (total * total * total - total);
    if correction <= 0.0 {
        return None;
    }
    let u = rank_sum - first * (first + 1.0) / 2.0;
    let middle = first * second / 2.0;
    let larger = u.max(first * second - u);
    let deviation = (correction * first * second * (total + 1.0) / 12.0).sqrt();
    let continuity = if uses_continuity { 0.5 } else { 0.0 };
    let z = ((larger - continuity - middle) / deviation).abs();
    Some(MannWhitney { u, p: normal::upper_tail(z) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_compared() {
        let mut values: Vec<(f64, bool)> = (1..=10).map(|n| (f64::from(n), n > 5)).collect();
        let found = test(&mut values, true).unwrap();
        assert_eq!(found.u, 25.0);
        assert!((found.p - 0.006_092).abs() < 1e-5, "{}", found.p);
        assert_eq!(test(&mut [(1.0, true), (1.0, false)], true), None);
    }
}
