//! What has changed between two loads of a configuration: what a reload has to do.

use super::Config;

/// What has changed from one configuration to the next. Names of sections, in the order of the new
/// configuration, removed ones in that of the old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Sections that are new.
    pub added: Vec<String>,
    /// Sections that are gone.
    pub removed: Vec<String>,
    /// Sections that say something else than before.
    pub changed: Vec<String>,
    /// Keys of `[hekad]` that are new, gone or different.
    pub hekad_changed: Vec<String>,
}

impl Difference {
    /// Tells whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares two configurations. Comments, blanks and the order of sections do not count.
pub fn difference(old: &Config, new: &Config) -> Difference {
    let mut difference = Difference::default();
    for section in &new.sections {
        match old.section(&section.name) {
            None => difference.added.push(section.name.clone()),
            Some(before) if !before.is_same_as(section) => {
                difference.changed.push(section.name.clone());
            }
            Some(_) => {}
        }
    }
    let is_gone = |name: &str| new.section(name).is_none();
    let gone = old.sections.iter().filter(|section| is_gone(&section.name));
    difference.removed = gone.map(|section| section.name.clone()).collect();
    let (before, after) = (&old.hekad_texts, &new.hekad_texts);
    for (key, text) in before.iter().chain(after) {
        let is_in_both = [before, after]
            .iter()
            .all(|texts| texts.iter().any(|(other, value)| other == key && value == text));
        if !is_in_both && !difference.hekad_changed.contains(key) {
            difference.hekad_changed.push(key.clone());
        }
    }
    difference
}
