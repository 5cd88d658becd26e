//! `/proc/loadavg`: `0.20 0.18 0.12 1/80 11206`.

/// How many processes wanted to run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// The averages over one, five and fifteen minutes.
    pub averages: [f64; 3],
    /// How many could run at that moment.
    pub running: u64,
    /// How many there were.
    pub processes: u64,
}

/// Reads the file.
#[must_use]
pub fn read(text: &str) -> Option<Load> {
    let mut words = text.split_ascii_whitespace();
    let mut load = Load::default();
    for average in &mut load.averages {
        *average = words.next()?.parse().ok()?;
    }
    let (running, processes) = words.next()?.split_once('/')?;
    (load.running, load.processes) = (running.parse().ok()?, processes.parse().ok()?);
    Some(load)
}
