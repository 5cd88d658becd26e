//! `/proc/stat`: what the processors did since the start, in ticks, and counts of the kernel.

/// What a processor does, in the order of the columns. Times of guests are within those of users.
pub const STATES: [&str; 10] =
    ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts<'a> {
    /// `cpu`, `cpu0`, `intr`, `ctxt`, `btime`, `processes`, …
    pub name: &'a str,
    /// The numbers behind it.
    pub values: Vec<u64>,
}

impl Counts<'_> {
    /// Whether it is of a processor, or of all.
    #[must_use]
    pub fn is_cpu(&self) -> bool {
        self.name.strip_prefix("cpu").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
    }
}

/// Goes through the lines.
pub fn counts(text: &str) -> impl Iterator<Item = Counts<'_>> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?;
        let values: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        (!values.is_empty()).then_some(Counts { name, values })
    })
}

/// How much of the time between two looks a processor spent in each of [`STATES`], in percent, and
/// with anything at all (neither idle nor waiting for disks).
#[must_use]
pub fn shares(before: &[u64], now: &[u64]) -> Option<([f64; 10], f64)> {
    let mut passed = [0u64; 10];
    for (index, slot) in passed.iter_mut().enumerate() {
        let of = |counts: &[u64]| counts.get(index).copied().unwrap_or(0);
        *slot = of(now).saturating_sub(of(before));
    }
    // The first eight are all there is: guests are counted among users.
    let total: u64 = passed[..8].iter().sum();
    if total == 0 {
        return None;
    }
    let share = |ticks: u64| ticks as f64 * 100.0 / total as f64;
    Some((passed.map(share), share(total - passed[3] - passed[4])))
}
