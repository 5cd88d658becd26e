//! A number for each run of an engine, and those of the runs before it.
//!
//! Two machines that were made of one image have the same journal, and the same runs before; from
//! there on they differ. Who keeps a position for somebody notes the run that it is of, and so
//! finds out that it is not of this machine.

use std::path::Path;
use std::sync::Arc;

use super::versions;
use crate::message::Uuids;

/// The file in the engine's folder, a number a line.
const FILE: &str = "runs";
/// How many are kept.
const KEPT: usize = 256;

/// Begins a run: its number, and those of the runs before, the last one first.
pub(super) fn begin(folder: &Path) -> Arc<[u64]> {
    let text = std::fs::read_to_string(folder.join(FILE)).unwrap_or_default();
    let before = text.lines().filter_map(|line| u64::from_str_radix(line, 16).ok());
    let runs: Vec<u64> = std::iter::once(fresh()).chain(before).take(KEPT).collect();
    let lines: String = runs.iter().map(|run| format!("{run:016x}\n")).collect();
    if let Err(error) = versions::replace(&folder.join(FILE), lines.as_bytes()) {
        let error = format!("{error:#}");
        tracing::warn!(error, "cannot note the number of this run");
    }
    runs.into()
}

/// A number above 0 that no other run has.
fn fresh() -> u64 {
    let id = Uuids::default().make();
    let (first, last) = id.split_at(8);
    let number = |half: &[u8]| half.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    (number(first) ^ number(last)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_know_those_before_them_and_differ() {
        let folder = tempfile::tempdir().unwrap();
        let first = begin(folder.path());
        assert_eq!(first.len(), 1);
        let second = begin(folder.path());
        assert_eq!(second[1..], first[..]);
        assert_ne!(second[0], first[0]);
        for _ in 0..KEPT {
            begin(folder.path());
        }
        assert_eq!(begin(folder.path()).len(), KEPT);
        std::fs::write(folder.path().join(FILE), "no number\n").unwrap();
        assert_eq!(begin(folder.path()).len(), 1);
    }
}
