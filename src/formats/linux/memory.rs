//! `/proc/meminfo`: a name, an amount and its unit on each line.

/// An amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount<'a> {
    /// What it is of: `MemFree`, `Active(anon)`.
    pub name: &'a str,
    /// How much.
    pub value: u64,
    /// `kB`, or nothing for a count.
    pub unit: &'a str,
}

/// Goes through the lines.
pub fn amounts(text: &str) -> impl Iterator<Item = Amount<'_>> {
    text.lines().filter_map(|line| {
        let (name, rest) = line.split_once(':')?;
        let mut words = rest.split_ascii_whitespace();
        let value = words.next()?.parse().ok()?;
        Some(Amount { name, value, unit: words.next().unwrap_or("") })
    })
}
