//! What a plan takes of the machine: where its plugins are going to listen, and folders.

use std::path::PathBuf;

use super::Plan;
use super::make;
use crate::plugin::Listens;

impl Plan {
    /// The addresses that inputs and outputs listen on, each with the name of its section.
    pub fn listens(&self) -> Vec<(String, Listens)> {
        let mut found = Vec::new();
        for input in &self.inputs {
            // A section that cannot be read is reported where the input starts.
            let at = make(input.kind, &input.section).ok().and_then(|input| input.listens());
            found.extend(at.map(|at| (input.section.name.clone(), at)));
        }
        for output in &self.outputs {
            let at = make(output.kind, &output.section).ok().and_then(|output| output.listens());
            found.extend(at.map(|at| (output.section.name.clone(), at)));
        }
        found
    }

    /// The folders that the engine keeps its state in.
    pub fn folders(&self) -> Vec<PathBuf> {
        let base = self.engine.base_dir.clone();
        let journal = base.join(&self.journal.path);
        if journal.starts_with(&base) { vec![base] } else { vec![base, journal] }
    }
}
