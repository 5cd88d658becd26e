//! `/proc/pressure/*`: for how much of the time something was waited for.

/// A line: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure<'a> {
    /// `some` of the tasks waited, or all (`full`).
    pub share: &'a str,
    /// In percent of the last 10, 60 and 300 seconds.
    pub averages: [f64; 3],
    /// Since the start, in microseconds.
    pub total: u64,
}

/// Goes through the lines.
pub fn lines(text: &str) -> impl Iterator<Item = Pressure<'_>> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let share = words.next()?;
        let mut averages = [0.0; 3];
        for (average, name) in averages.iter_mut().zip(["avg10=", "avg60=", "avg300="]) {
            *average = words.next()?.strip_prefix(name)?.parse().ok()?;
        }
        let total = words.next()?.strip_prefix("total=")?.parse().ok()?;
        Some(Pressure { share, averages, total })
    })
}
