//! The Mann-Whitney U test (1947), by ranks, corrected for ties, with the normal approximation.

use super::CircularBuffer;

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
    Some(MannWhitney { u, p: upper_tail(z) })
}

/// The probability that a normal variable exceeds `z`, for `z` of at least 0.
fn upper_tail(z: f64) -> f64 {
    let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    if z < 2.5 {
        // The series of the integral from 0 to z, whose terms shrink from the start.
        let (mut term, mut sum) = (z, z);
        for n in 1..200 {
            term *= z * z / f64::from(2 * n + 1);
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        return 0.5 - density * sum;
    }
    // The continued fraction of the tail, from its far end.
    let fraction = (1..=100).rev().fold(z, |below, n| z + f64::from(n) / below);
    density / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_agrees_with_tables() {
        for (z, expected) in
            [(0.0, 0.5), (1.0, 0.158_655_253_9), (1.96, 0.024_997_895_1), (3.0, 0.001_349_898_0)]
        {
            assert!((upper_tail(z) - expected).abs() < 1e-9, "{z}: {}", upper_tail(z));
        }
    }

    #[test]
    fn ranks_are_compared() {
        let mut values: Vec<(f64, bool)> = (1..=10).map(|n| (f64::from(n), n > 5)).collect();
        let found = test(&mut values, true).unwrap();
        assert_eq!(found.u, 25.0);
        assert!((found.p - 0.006_092).abs() < 1e-5, "{}", found.p);
        assert_eq!(test(&mut [(1.0, true), (1.0, false)], true), None);
    }
}
