//! A circular buffer: the last so many intervals of time, a row of numbers for each.
//!
//! Rows lie in a ring. The newest row begins at [`CircularBuffer::current_time`]; a later time moves
//! the window on and empties the rows it reaches. An empty cell is NaN.
//!
//! Where changes are kept, a copy of every changed row says what was added since the changes were
//! last printed, so that several engines' buffers can be added up.
//!
//! - `text`: the forms `cbuf` and `cbufd`;
//! - `compute`: sums, means and extremes of a column;
//! - `mann_whitney`: whether one stretch of a column is larger than another;
//! - `annotation`: notes at cells;
//! - `state`: the whole buffer as bytes.

mod annotation;
mod compute;
mod mann_whitney;
mod state;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use annotation::Annotation;
pub use annotation::Importance;
pub use compute::Function;
pub use mann_whitney::MannWhitney;

const NS_PER_SECOND: i64 = 1_000_000_000;

/// How the values of a column are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Aggregation {
    /// By adding.
    #[default]
    Sum,
    /// The smallest counts.
    Min,
    /// The largest counts.
    Max,
    /// Not at all.
    None,
}

impl Aggregation {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Aggregation::Sum => "sum",
            Aggregation::Min => "min",
            Aggregation::Max => "max",
            Aggregation::None => "none",
        }
    }

    /// What a word stands for.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Aggregation> {
        Some(match name {
            b"sum" => Aggregation::Sum,
            b"min" => Aggregation::Min,
            b"max" => Aggregation::Max,
            b"none" => Aggregation::None,
            _ => return None,
        })
    }
}

/// What a column is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name, at most 15 characters.
    pub name: String,
    /// The unit of its values, at most 7 characters.
    pub unit: String,
    /// How its values are combined.
    pub aggregation: Aggregation,
}

/// Which text [`CircularBuffer::print`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// All rows.
    #[default]
    Full,
    /// What changed since the last time.
    Changes,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct CircularBuffer {
    rows: usize,
    columns: usize,
    seconds_per_row: u32,
    headers: Vec<Header>,
    /// The number of the newest row's interval, counted from the epoch.
    interval: i64,
    /// Where the newest row lies in the ring.
    newest: usize,
    values: Vec<f64>,
    /// What was added to each row, by its interval; `None` where changes are not kept.
    changes: Option<BTreeMap<i64, Vec<f64>>>,
    format: Format,
    annotations: Vec<Annotation>,
}

/// Why a buffer cannot be made or restored.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// It would have no room in memory.
    #[error("there is no memory for {rows} rows of {columns} columns")]
    TooLarge {
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        columns: usize,
    },
    /// What is to be restored has other dimensions.
    #[error("circular_buffer row/column mismatch")]
    Mismatch,
    /// What is to be restored is damaged.
    #[error("the state of the circular buffer is damaged")]
    Damaged,
}

impl CircularBuffer {
    /// A buffer of empty cells, whose oldest row begins at the epoch.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(
        rows: usize,
        columns: usize,
        seconds_per_row: u32,
        keeps_changes: bool,
    ) -> Result<CircularBuffer, Error> {
        let too_large = Error::TooLarge { rows, columns };
        let Some(cells) = rows.checked_mul(columns) else { return Err(too_large) };
        let mut values = Vec::new();
        if values.try_reserve_exact(cells).is_err() {
            return Err(too_large);
        }
        values.resize(cells, f64::NAN);
        let header = |column: usize| Header {
            name: format!("Column_{}", column + 1),
            unit: "count".to_owned(),
            aggregation: Aggregation::Sum,
        };
        Ok(CircularBuffer {
            rows: rows.max(1),
            columns,
            seconds_per_row: seconds_per_row.max(1),
            headers: (0..columns).map(header).collect(),
            interval: i64::try_from(rows.max(1) - 1).unwrap_or(i64::MAX),
            newest: rows.saturating_sub(1),
            values,
            changes: keeps_changes.then(BTreeMap::new),
            format: Format::Full,
            annotations: Vec::new(),
        })
    }

    /// The bytes that a buffer of this size takes at most.
    #[must_use]
    pub fn footprint_of(rows: usize, columns: usize, keeps_changes: bool) -> Option<usize> {
        let cells = rows.checked_mul(columns)?.checked_mul(size_of::<f64>())?;
        let headers = columns.checked_mul(size_of::<Header>() + 32)?;
        let changes = if keeps_changes { cells.checked_add(rows.checked_mul(64)?)? } else { 0 };
        cells.checked_add(headers)?.checked_add(changes)?.checked_add(size_of::<CircularBuffer>())
    }

    /// Rows, columns, and the seconds a row stands for.
    #[must_use]
    pub fn configuration(&self) -> (usize, usize, u32) {
        (self.rows, self.columns, self.seconds_per_row)
    }

    /// Tells whether changes are kept.
    #[must_use]
    pub fn keeps_changes(&self) -> bool {
        self.changes.is_some()
    }

    /// Keeps changes from now on; what the cells hold counts as added since the beginning.
    pub fn keep_changes(&mut self) {
        if self.changes.is_some() {
            return;
        }
        let mut changes = BTreeMap::new();
        for interval in self.oldest()..=self.interval {
            let Some(start) = self.find(interval) else { continue };
            let row = &self.values[start..start + self.columns];
            if row.iter().any(|value| is_change(*value)) {
                let only = |value: &f64| if is_change(*value) { *value } else { f64::NAN };
                changes.insert(interval, row.iter().map(only).collect());
            }
        }
        self.changes = Some(changes);
    }

    /// When the newest row begins, in nanoseconds since the epoch.
    #[must_use]
    pub fn current_time(&self) -> i64 {
        self.interval.saturating_mul(self.row_ns())
    }

    /// What column number `column` is, counted from zero.
    #[must_use]
    pub fn header(&self, column: usize) -> Option<&Header> {
        self.headers.get(column)
    }

    /// Says what a column is; name and unit are cut, and what is not allowed in them becomes `_`.
    pub fn set_header(
        &mut self,
        column: usize,
        name: &[u8],
        unit: &[u8],
        aggregation: Aggregation,
    ) {
        let clean = |text: &[u8], longest: usize, also: &[u8]| -> String {
            let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || also.contains(byte);
            text.iter()
                .take(longest)
                .map(|byte| if allowed(byte) { char::from(*byte) } else { '_' })
                .collect()
        };
        if let Some(header) = self.headers.get_mut(column) {
            *header =
                Header { name: clean(name, 15, b""), unit: clean(unit, 7, b"/*"), aggregation };
        }
    }

    /// Which text is printed.
    pub fn use_format(&mut self, format: Format) {
        self.format = format;
    }

    /// Adds to a cell and returns its new value; `None` when the time is before the window, or the
    /// column not there.
    pub fn add(&mut self, ns: i64, column: usize, value: f64) -> Option<f64> {
        let at = self.reach(ns)? + self.checked(column)?;
        let cell = &mut self.values[at];
        let sum = if cell.is_nan() { value } else { *cell + value };
        *cell = sum;
        if value != 0.0 && self.changes.is_some() {
            self.change(ns, column, value);
        }
        Some(sum)
    }

    /// Sets a cell and returns its value then; in columns of minima and maxima only a value beyond
    /// the one there counts. `None` as for [`CircularBuffer::add`].
    pub fn set(&mut self, ns: i64, column: usize, value: f64) -> Option<f64> {
        let at = self.reach(ns)? + self.checked(column)?;
        let aggregation = self.headers[column].aggregation;
        let old = self.values[at];
        let is_taken = match aggregation {
            Aggregation::Min => old.is_nan() || value < old,
            Aggregation::Max => old.is_nan() || value > old,
            Aggregation::Sum | Aggregation::None => true,
        };
        if !is_taken {
            return Some(old);
        }
        self.values[at] = value;
        if self.changes.is_some() {
            let change = match aggregation {
                Aggregation::Sum if !old.is_nan() => value - old,
                _ => value,
            };
            if change != 0.0 {
                self.change(ns, column, change);
            }
        }
        Some(value)
    }

    /// The value of a cell, NaN for an empty one; `None` outside the window.
    #[must_use]
    pub fn get(&self, ns: i64, column: usize) -> Option<f64> {
        Some(self.values[self.find(self.interval_of(ns))? + self.checked(column)?])
    }

    /// What was added to a cell since changes were last printed or forgotten, NaN for nothing; `None`
    /// outside the window, and where changes are not kept.
    #[must_use]
    pub fn change_of(&self, ns: i64, column: usize) -> Option<f64> {
        let interval = self.interval_of(ns);
        self.find(interval)?;
        let changes = self.changes.as_ref()?;
        let row = changes.get(&interval);
        row.map_or(Some(f64::NAN), |row| row.get(column).copied())
    }

    /// The times of the rows from `start` to `end`, inclusive, oldest first; the edges of the window
    /// where they are left out. `None` when one lies outside, or they are the wrong way round.
    #[must_use]
    pub fn times(&self, start: Option<i64>, end: Option<i64>) -> Option<Vec<i64>> {
        let first = start.map_or(self.oldest(), |ns| self.interval_of(ns));
        let last = end.map_or(self.interval, |ns| self.interval_of(ns));
        self.find(first)?;
        self.find(last)?;
        let time = |interval: i64| interval.saturating_mul(self.row_ns());
        (first <= last).then(|| (first..=last).map(time).collect())
    }

    fn checked(&self, column: usize) -> Option<usize> {
        (column < self.columns).then_some(column)
    }

    fn row_ns(&self) -> i64 {
        i64::from(self.seconds_per_row) * NS_PER_SECOND
    }

    fn interval_of(&self, ns: i64) -> i64 {
        ns.div_euclid(self.row_ns())
    }

    /// Where the row of an interval begins among the values; `None` outside the window.
    fn find(&self, interval: i64) -> Option<usize> {
        let age = usize::try_from(self.interval.checked_sub(interval)?).ok()?;
        if age >= self.rows {
            return None;
        }
        let row =
            if age <= self.newest { self.newest - age } else { self.newest + self.rows - age };
        Some(row * self.columns)
    }

    /// As [`CircularBuffer::find`], but moves the window on to a later time.
    fn reach(&mut self, ns: i64) -> Option<usize> {
        let interval = self.interval_of(ns);
        if interval > self.interval {
            let steps = interval.checked_sub(self.interval)?;
            for _ in 0..steps.min(i64::try_from(self.rows).unwrap_or(i64::MAX)) {
                self.newest = if self.newest + 1 == self.rows { 0 } else { self.newest + 1 };
                let start = self.newest * self.columns;
                self.values[start..start + self.columns].fill(f64::NAN);
            }
            self.interval = interval;
            self.forget_old_changes();
            self.forget_old_annotations();
        }
        self.find(interval)
    }

    /// The interval of the oldest row.
    fn oldest(&self) -> i64 {
        self.interval.saturating_sub(i64::try_from(self.rows).unwrap_or(i64::MAX) - 1)
    }

    #[cold]
    fn change(&mut self, ns: i64, column: usize, value: f64) {
        let interval = self.interval_of(ns);
        let columns = self.columns;
        if let Some(changes) = &mut self.changes {
            let row = changes.entry(interval).or_insert_with(|| vec![f64::NAN; columns]);
            let combined = match self.headers[column].aggregation {
                Aggregation::Sum if !row[column].is_nan() => row[column] + value,
                _ => value,
            };
            row[column] = combined;
        }
    }

    fn forget_old_changes(&mut self) {
        let oldest = self.oldest();
        if let Some(changes) = &mut self.changes {
            while changes.first_key_value().is_some_and(|(interval, _)| *interval < oldest) {
                changes.pop_first();
            }
        }
    }
}

/// Tells whether what a cell holds was added to it.
fn is_change(value: f64) -> bool {
    !value.is_nan() && value != 0.0
}
