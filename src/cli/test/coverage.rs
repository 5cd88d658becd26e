//! Which lines of scripts have run in their specs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::sandbox::CoveredLine;

/// The lines with code of each file, and whether they have run.
#[derive(Debug, Default)]
pub(super) struct Coverage(BTreeMap<PathBuf, BTreeMap<u32, bool>>);

impl Coverage {
    /// Adds what a script has run.
    pub(super) fn add(&mut self, lines: Vec<CoveredLine>) {
        for CoveredLine { file, line, has_run } in lines {
            *self.0.entry(file).or_default().entry(line).or_default() |= has_run;
        }
    }

    /// Of each file the part that has run, and the lines that have not.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (file, lines) in &self.0 {
            let source = std::fs::read_to_string(file).unwrap_or_default();
            if source.is_empty() {
                // Made by a spec, or in the program.
                continue;
            }
            let source: Vec<&str> = source.lines().collect();
            let never: Vec<u32> =
                lines.iter().filter(|(_, has_run)| !**has_run).map(|(line, _)| *line).collect();
            let percent = (lines.len() - never.len()) * 100 / lines.len().max(1);
            let _ = write!(text, "{}: {percent} % of {} lines", file.display(), lines.len());
            text += if never.is_empty() { "\n" } else { "; never run:\n" };
            for line in never {
                let written = source.get(line as usize - 1).map_or("", |line| line.trim());
                let _ = writeln!(text, "  {line:4}  {written}");
            }
        }
        text
    }
}
