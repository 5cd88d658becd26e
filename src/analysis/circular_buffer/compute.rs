//! Figures over a stretch of a column.

use super::CircularBuffer;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The sum.
    Sum,
    /// The mean.
    Average,
    /// The standard deviation, of all values.
    Deviation,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The variance, of all values.
    Variance,
}

impl Function {
    /// What a word stands for.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Function> {
        Some(match name {
            b"sum" => Function::Sum,
            b"avg" => Function::Average,
            b"sd" => Function::Deviation,
            b"min" => Function::Min,
            b"max" => Function::Max,
            b"variance" => Function::Variance,
            _ => return None,
        })
    }
}

impl CircularBuffer {
    /// Computes `function` over the rows from `start` to `end`, both included, each in nanoseconds,
    /// the edge of the window when left out; returns the result and the number of rows that are not
    /// empty. `None` when the stretch is not within the window, or the column not there.
    ///
    /// Over no row the sum is 0 and all else NaN.
    #[must_use]
    pub fn compute(
        &self,
        function: Function,
        column: usize,
        start: Option<i64>,
        end: Option<i64>,
    ) -> Option<(f64, usize)> {
        let (first, last) = self.stretch(start, end)?;
        self.checked(column)?;
        let values = self.column(column, first, last);
        let (mut count, mut sum) = (0_usize, 0.0);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.clone() {
            count += 1;
            sum += value;
            min = min.min(value);
            max = max.max(value);
        }
        if count == 0 {
            return Some((if function == Function::Sum { 0.0 } else { f64::NAN }, 0));
        }
        let mean = sum / count as f64;
        let variance =
            || values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count as f64;
        let result = match function {
            Function::Sum => sum,
            Function::Average => mean,
            Function::Min => min,
            Function::Max => max,
            Function::Variance => variance(),
            Function::Deviation => variance().sqrt(),
        };
        Some((result, count))
    }

    /// The intervals from `start` to `end`; `None` unless all lie within the window.
    pub(super) fn stretch(&self, start: Option<i64>, end: Option<i64>) -> Option<(i64, i64)> {
        let first = start.map_or(self.oldest(), |ns| self.interval_of(ns));
        let last = end.map_or(self.interval, |ns| self.interval_of(ns));
        (first <= last && first >= self.oldest() && last <= self.interval).then_some((first, last))
    }

    /// The values of a column that are not empty, oldest first.
    pub(super) fn column(
        &self,
        column: usize,
        first: i64,
        last: i64,
    ) -> impl Iterator<Item = f64> + Clone + '_ {
        (first..=last)
            .filter_map(move |interval| self.find(interval))
            .map(move |row| self.values[row + column])
            .filter(|value| !value.is_nan())
    }
}
