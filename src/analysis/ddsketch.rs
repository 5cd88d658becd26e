//! DDSketch: quantiles of a stream, each within a given part of its true value.
//!
//! A value falls into the bin whose number is the logarithm of its size, to a base that follows from
//! the accuracy. Values below zero have bins of their own; those too small to tell from zero are
//! counted as zero. At most [`MAX_BINS`] bins are kept on each side: beyond, those nearest to zero are
//! made one. Sketches of the same accuracy add up exactly.
//!
//! Saved: 1, accuracy, count of zeros, sum, smallest, largest, then for each side the number of bins
//! and the number and count of each.

use std::collections::BTreeMap;

use super::saved::Reader;
use super::saved::Unfit;

const VERSION: u8 = 1;

/// The most bins of a side.
pub const MAX_BINS: usize = 2048;

/// Smaller values count as zero.
const SMALLEST: f64 = 1e-12;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct DdSketch {
    accuracy: f64,
    log_base: f64,
    above: BTreeMap<i32, u64>,
    below: BTreeMap<i32, u64>,
    zeros: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl DdSketch {
    /// An empty sketch; `accuracy` is between 0 and 1: 0.01 is one percent.
    #[must_use]
    pub fn new(accuracy: f64) -> DdSketch {
        let accuracy = accuracy.clamp(1e-4, 0.5);
        DdSketch {
            accuracy,
            log_base: ((1.0 + accuracy) / (1.0 - accuracy)).ln(),
            above: BTreeMap::new(),
            below: BTreeMap::new(),
            zeros: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    /// The bytes it takes now, about.
    #[must_use]
    pub fn footprint(&self) -> usize {
        size_of::<DdSketch>() + (self.above.len() + self.below.len()) * 24
    }

    /// Adds a value so many times; one that is not finite is passed over.
    pub fn add(&mut self, value: f64, times: u64) {
        if !value.is_finite() || times == 0 {
            return;
        }
        let size = value.abs();
        if size < SMALLEST {
            self.zeros = self.zeros.saturating_add(times);
        } else {
            let bin = self.bin(size);
            let side = if value > 0.0 { &mut self.above } else { &mut self.below };
            let count = side.entry(bin).or_default();
            *count = count.saturating_add(times);
            shrink(side);
        }
        #[allow(clippy::cast_precision_loss, reason = "a sum is rounded anyway")]
        {
            self.sum += value * times as f64;
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds all that another sketch has counted.
    ///
    /// # Errors
    /// When it is of another accuracy.
    #[allow(clippy::float_cmp, reason = "only the very same accuracy has the same bins")]
    pub fn merge(&mut self, other: &DdSketch) -> Result<(), Unfit> {
        if self.accuracy != other.accuracy {
            return Err(Unfit::Mismatch);
        }
        for (side, from) in [(&mut self.above, &other.above), (&mut self.below, &other.below)] {
            for (bin, count) in from {
                let held = side.entry(*bin).or_default();
                *held = held.saturating_add(*count);
            }
            shrink(side);
        }
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        Ok(())
    }

    /// The value below which the part `rank` (0 to 1) of all values lies; `None` of no values.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the rank is between 0 and the count"
    )]
    pub fn quantile(&self, rank: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 || rank.is_nan() {
            return None;
        }
        let wanted = (rank.clamp(0.0, 1.0) * (count - 1) as f64) as u64;
        let mut passed = 0_u64;
        let below = self.below.iter().rev().map(|(bin, count)| (-self.middle(*bin), *count));
        let above = self.above.iter().map(|(bin, count)| (self.middle(*bin), *count));
        for (value, count) in below.chain([(0.0, self.zeros)]).chain(above) {
            passed = passed.saturating_add(count);
            if passed > wanted {
                return Some(value.clamp(self.min, self.max));
            }
        }
        Some(self.max)
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        let bins = self.above.values().chain(self.below.values());
        bins.fold(self.zeros, |sum, count| sum.saturating_add(*count))
    }

    /// The sum of all values.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The smallest and the largest value; `None` of no values.
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        (self.min <= self.max).then_some((self.min, self.max))
    }

    /// Takes all values out.
    pub fn clear(&mut self) {
        *self = DdSketch::new(self.accuracy);
    }

    /// Appends its state.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        for word in [
            self.accuracy.to_bits(),
            self.zeros,
            self.sum.to_bits(),
            self.min.to_bits(),
            self.max.to_bits(),
        ] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for side in [&self.above, &self.below] {
            out.extend_from_slice(&(side.len() as u64).to_le_bytes());
            for (bin, count) in side {
                out.extend_from_slice(&i64::from(*bin).to_le_bytes());
                out.extend_from_slice(&count.to_le_bytes());
            }
        }
    }

    /// A sketch from its state; `None` where that is damaged.
    #[must_use]
    pub fn load(state: &[u8]) -> Option<DdSketch> {
        let mut reader = Reader::new(state, VERSION)?;
        let mut sketch = DdSketch::new(reader.number()?);
        sketch.zeros = reader.word()?;
        (sketch.sum, sketch.min, sketch.max) =
            (reader.number()?, reader.number()?, reader.number()?);
        for side in [&mut sketch.above, &mut sketch.below] {
            let count = reader.size().filter(|count| *count <= MAX_BINS)?;
            for _ in 0..count {
                side.insert(i32::try_from(reader.signed()?).ok()?, reader.word()?);
            }
        }
        let is_sound = !(sketch.min.is_nan() || sketch.max.is_nan())
            && (sketch.min <= sketch.max || sketch.count() == 0);
        (is_sound && reader.is_at_end()).then_some(sketch)
    }

    /// Takes over a state.
    ///
    /// # Errors
    /// When it is damaged or of another accuracy.
    #[allow(clippy::float_cmp, reason = "only the very same accuracy has the same bins")]
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Unfit> {
        let saved = DdSketch::load(state).ok_or(Unfit::Damaged)?;
        if saved.accuracy != self.accuracy {
            return Err(Unfit::Mismatch);
        }
        *self = saved;
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation, reason = "a logarithm of a double is small")]
    fn bin(&self, size: f64) -> i32 {
        (size.ln() / self.log_base).ceil() as i32
    }

    /// The value that stands for all of a bin.
    fn middle(&self, bin: i32) -> f64 {
        let top = (f64::from(bin) * self.log_base).exp();
        top * (1.0 - self.accuracy)
    }
}

/// Makes the two bins nearest to zero one, while there are too many.
fn shrink(side: &mut BTreeMap<i32, u64>) {
    while side.len() > MAX_BINS {
        let Some((_, count)) = side.pop_first() else { return };
        if let Some(mut next) = side.first_entry() {
            let sum = next.get().saturating_add(count);
            next.insert(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_as_accurate_as_asked() {
        let mut sketch = DdSketch::new(0.01);
        let mut other = DdSketch::new(0.01);
        for value in 1..=10_000_u32 {
            let target = if value % 2 == 0 { &mut sketch } else { &mut other };
            target.add(f64::from(value), 1);
        }
        sketch.merge(&other).unwrap();
        for rank in [0.0, 0.01, 0.5, 0.9, 0.99, 1.0] {
            let expected = 1.0 + rank * 9999.0;
            let found = sketch.quantile(rank).unwrap();
            assert!((found - expected).abs() <= expected * 0.011, "{rank}: {found}");
        }
        assert_eq!((sketch.count(), sketch.sum()), (10_000, 50_005_000.0));
        assert_eq!(sketch.range(), Some((1.0, 10_000.0)));
        let mut state = Vec::new();
        sketch.save(&mut state);
        assert_eq!(DdSketch::load(&state).unwrap(), sketch);
        assert_eq!(DdSketch::new(0.02).restore(&state), Err(Unfit::Mismatch));
        assert_eq!(sketch.merge(&DdSketch::new(0.02)), Err(Unfit::Mismatch));
        assert_eq!(sketch.restore(&state[..50]), Err(Unfit::Damaged));
    }

    #[test]
    fn all_sizes_and_signs_are_kept_in_order() {
        let mut sketch = DdSketch::new(0.02);
        for value in [-1e300, -5.0, -1e-300, 0.0, 3.0, 1e300, f64::NAN, f64::INFINITY] {
            sketch.add(value, 1);
        }
        sketch.add(3.0, 2);
        assert_eq!(sketch.count(), 8);
        let found: Vec<f64> =
            (0..8).map(|index| sketch.quantile(f64::from(index) / 7.0).unwrap()).collect();
        assert!(found.is_sorted(), "{found:?}");
        assert!((found[5] - 3.0).abs() < 0.1, "{found:?}");
        for exponent in 0..30_000 {
            sketch.add(1.02_f64.powi(exponent - 1000), 1);
        }
        assert!(sketch.footprint() < 200_000);
        sketch.clear();
        assert_eq!((sketch.count(), sketch.quantile(0.5), sketch.range()), (0, None, None));
    }
}
