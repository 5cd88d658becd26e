//! The configuration as written, with line and column.
//!
//! A configuration is a file in TOML or a folder of them. Each section is a plugin, save `[hekad]`,
//! which is the engine itself. What is read here is what all kinds have in common; the settings of a
//! kind stay [`Settings`] until the kind reads them, and then a mistake in them has its place too.
//!
//! Loading never stops at the first mistake: it gives all [`Problem`]s there are, and as much of the
//! configuration as could be read, so that the rest can be checked as well. Whoever wants to run it
//! asks [`Problem::any_error`] first.
//!
//! | file | what it does |
//! | --- | --- |
//! | `load` | reads files and sections, later ones in place of earlier ones |
//! | `file` | a file, `%ENV[NAME]` in it, places |
//! | `syntax` | mistakes in TOML itself |
//! | `section`, `kind`, `family` | one section |
//! | `options` | options that every plugin of a family has |
//! | `settings` | the settings of a kind, read without losing their places |
//! | `hekad` | the section of the engine |
//! | `check` | what one section says of another |
//! | `problem`, `wording`, `masking` | how a mistake is told, and no secret |
//! | `difference` | what a reload has to do |

mod check;
mod difference;
mod family;
mod file;
mod hekad;
mod kind;
mod load;
mod masking;
mod options;
mod problem;
mod section;
mod settings;
mod syntax;
mod wording;

pub use check::BUILT_IN;
pub use difference::Difference;
pub use difference::difference;
pub use family::Family;
pub use file::File;
pub use file::Place;
pub use hekad::Admin;
pub use hekad::Hekad;
pub use hekad::LogFormat;
pub use hekad::LogLevel;
pub use kind::replacement;
pub use load::Surroundings;
pub use load::load;
pub use load::parse;
pub use options::Buffering;
pub use options::Common;
pub use options::FullAction;
pub use options::InputCommon;
pub use options::OutputCommon;
pub use options::ReaderCommon;
pub use options::Retries;
pub use options::SplitterCommon;
pub use options::Start;
pub use options::keys;
pub use options::schemas;
pub use problem::Problem;
pub use problem::Severity;
pub use problem::render_all;
pub use section::Section;
pub use settings::Settings;

/// A configuration as read.
#[derive(Clone, Debug)]
pub struct Config {
    /// The engine's settings.
    pub hekad: Hekad,
    /// `[hekad.journal]`, for the journal to read.
    pub journal: Settings,
    /// `[hekad.admin.tls]`, for the admin port to read.
    pub admin_tls: Option<Settings>,
    /// The plugins, in the order they are written.
    pub sections: Vec<Section>,
    /// Each key of `[hekad]` and its value as written.
    hekad_texts: Vec<(String, String)>,
}

impl Config {
    /// Returns the section of that name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Returns the sections of a family, in the order they are written.
    pub fn of_family(&self, family: Family) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(move |section| section.family == family)
    }
}

#[cfg(test)]
mod tests;
