//! The versions of filters: what each was made of, which one runs, and what a person has said of it.
//!
//! A version is a section and the texts of the script and its modules, named by a hash of all that.
//! One that has run is kept, so that it can be brought back, and so that after a crash the replay
//! goes with the version that had run, whatever has become of its files. Each filter has a file
//! `sandboxes/versions/<name>.json` below `base_dir`, for the eyes of its owner alone: a section may
//! hold secrets.

mod file;
mod rebuild;

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use super::plan::PlannedFilter;
use crate::plugin::Engine;
use crate::stdx::embedded::Source;

pub(super) use self::file::encoded;
pub(super) use self::file::replace;
pub(super) use self::rebuild::section;

/// What a filter is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    /// What tells it from all others.
    pub(super) hash: String,
    /// When it first ran, in seconds since the epoch.
    pub(super) at: i64,
    /// Kind and section, in one line.
    pub(super) text: String,
    sources: Vec<KeptFile>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptFile {
    module: String,
    path: PathBuf,
    text: String,
}

/// What is known of a filter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    /// The version that runs.
    pub(super) running: String,
    /// Where in the journal it took over; what came before was done by another.
    pub(super) since: u64,
    /// The version its files have and that is not to take over: a person went back behind it, or it
    /// is being tried.
    pub(super) set_aside: Option<String>,
    /// The version that is tried beside the running one.
    pub(super) shadow: Option<String>,
    /// The journal that `since` is a position in.
    journal: String,
    /// Hash of each version that is kept and when it first ran, the last to take over last.
    pub(super) kept: Vec<(String, i64)>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    known: Known,
    versions: Vec<Version>,
}

/// All versions that are kept.
pub(super) struct Versions {
    folder: PathBuf,
    journal: String,
    most: usize,
    known: BTreeMap<String, Known>,
}

impl Version {
    /// The version of a planned filter, as its files are when they are first read.
    pub(super) fn of(planned: &PlannedFilter, engine: &Engine) -> anyhow::Result<Version> {
        let sources = planned.plugin.sources(engine)?;
        let mut hash = Sha256::new();
        hash.update(planned.text.as_bytes());
        for Source { path, text, .. } in &sources {
            hash.update(format!("\n{}\n{}\n", path.display(), text.len()));
            hash.update(text.as_bytes());
        }
        let hash = hash
            .finalize()
            .iter()
            .take(8)
            .fold(String::new(), |hash, byte| hash + &format!("{byte:02x}"));
        let of = |Source { module, path, text }| KeptFile { module, path, text };
        Ok(Version {
            hash,
            at: chrono::Utc::now().timestamp(),
            text: planned.text.clone(),
            sources: sources.into_iter().map(of).collect(),
        })
    }

    /// The texts it is made of.
    pub(super) fn sources(&self) -> Vec<Source> {
        let of = |KeptFile { module, path, text }| Source { module, path, text };
        self.sources.iter().cloned().map(of).collect()
    }
}

impl Versions {
    /// Reads what is kept below `base_dir`; what cannot be read is reported and left out.
    pub(super) fn open(base_dir: &Path, journal: [u8; 16], most: usize) -> Versions {
        let folder = base_dir.join("sandboxes/versions");
        let journal = journal.iter().fold(String::new(), |id, byte| id + &format!("{byte:02x}"));
        let mut known = BTreeMap::new();
        for (name, path) in file::list(&folder) {
            match file::read::<Stored>(&path) {
                Ok(mut stored) => {
                    if stored.known.journal != journal {
                        stored.known.since = 0;
                    }
                    known.insert(name, stored.known);
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(filter = name, error, "the versions of a filter are lost");
                }
            }
        }
        Versions { folder, journal, most: most.max(1), known }
    }

    /// What is known of a filter.
    pub(super) fn known(&self, name: &str) -> Option<&Known> {
        self.known.get(name)
    }

    /// Notes that `version` runs from `since` on. A version that took over goes behind all others;
    /// one that was brought back stays where it was.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(super) fn runs(&mut self, name: &str, version: &Version, since: u64) -> anyhow::Result<()> {
        let is_new = self.known.get(name).is_none_or(|known| known.running.is_empty());
        self.change(name, Some(version), !is_new, |known| {
            let is_kept = known.kept.iter().any(|(hash, _)| *hash == version.hash);
            let goes_back = is_kept && known.set_aside.is_some();
            if known.running != version.hash && !goes_back {
                if let Some(at) = known.kept.iter().position(|(hash, _)| *hash == known.running) {
                    let before = known.kept.remove(at);
                    known.kept.push(before);
                }
                known.kept.retain(|(hash, _)| *hash != version.hash);
                known.kept.push((version.hash.clone(), version.at));
            }
            known.running.clone_from(&version.hash);
            known.since = since;
            // What runs is not tried any more, whether or not a crash comes before that is said.
            if known.shadow.as_ref() == Some(&version.hash) {
                known.shadow = None;
            }
        })
    }

    /// Notes which version of its files a filter does not go over to.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(super) fn set_aside(&mut self, name: &str, hash: Option<String>) -> anyhow::Result<()> {
        if self.known.get(name).is_none_or(|known| known.set_aside == hash) {
            return Ok(());
        }
        self.change(name, None, true, |known| known.set_aside = hash)
    }

    /// Notes which version is tried beside the one that runs.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(super) fn shadows(&mut self, name: &str, version: Option<&Version>) -> anyhow::Result<()> {
        self.change(name, version, true, |known| {
            known.shadow = version.map(|version| version.hash.clone());
        })
    }

    /// Forgets a filter.
    pub(super) fn forget(&mut self, name: &str) {
        if self.known.remove(name).is_some()
            && let Err(error) = std::fs::remove_file(self.path(name))
        {
            tracing::warn!(filter = name, %error, "cannot remove the versions of a filter");
        }
    }

    /// A version that is kept.
    ///
    /// # Errors
    /// When it is not, or not readable any more.
    pub(super) fn load(&self, name: &str, hash: &str) -> anyhow::Result<Version> {
        let stored: Stored = file::read(&self.path(name))?;
        let found = stored.versions.into_iter().find(|version| version.hash == hash);
        found.with_context(|| format!("the version {hash} of {name} is not kept any more"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}.json", encoded(name)))
    }

    /// Changes what is known of a filter and writes it down, with a version that is new.
    fn change(
        &mut self,
        name: &str,
        version: Option<&Version>,
        is_durable: bool,
        change: impl FnOnce(&mut Known),
    ) -> anyhow::Result<()> {
        let path = self.path(name);
        let mut known = self.known.get(name).cloned().unwrap_or_default();
        change(&mut known);
        known.journal.clone_from(&self.journal);
        let spare = known.kept.len().saturating_sub(self.most);
        let is_needed = |hash: &str| {
            hash == known.running
                || known.shadow.as_deref() == Some(hash)
                || known.set_aside.as_deref() == Some(hash)
        };
        let kept = known.kept.iter().enumerate();
        let kept = kept.filter(|(index, (hash, _))| *index >= spare || is_needed(hash));
        known.kept = kept.map(|(_, kept)| kept.clone()).collect();
        let mut versions = match file::read::<Stored>(&path) {
            Ok(stored) => stored.versions,
            Err(_) => Vec::new(),
        };
        if let Some(version) = version
            && !versions.iter().any(|kept| kept.hash == version.hash)
        {
            versions.push(version.clone());
        }
        versions.retain(|version| {
            let hash = version.hash.as_str();
            known.kept.iter().any(|(kept, _)| kept == hash)
                || known.running == hash
                || known.shadow.as_deref() == Some(hash)
        });
        let stored = Stored { known: known.clone(), versions };
        file::write(&path, &serde_json::to_vec(&stored)?, is_durable)
            .with_context(|| format!("cannot keep the versions of {name}"))?;
        self.known.insert(name.to_owned(), known);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(hash: &str) -> Version {
        let text = format!("text of {hash}");
        let source = KeptFile { module: String::new(), path: "x.lua".into(), text: text.clone() };
        Version { hash: hash.to_owned(), at: 1, text, sources: vec![source] }
    }

    fn kept(versions: &Versions) -> Vec<&str> {
        versions.known("f").unwrap().kept.iter().map(|(hash, _)| hash.as_str()).collect()
    }

    #[test]
    fn the_last_versions_are_kept_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut versions = Versions::open(folder.path(), [1; 16], 3);
        for (since, hash) in ["a", "b", "c", "d"].into_iter().enumerate() {
            versions.runs("f", &version(hash), since as u64).unwrap();
        }
        assert_eq!(kept(&versions), ["b", "c", "d"]);
        assert!(versions.load("f", "a").is_err());
        let again = Versions::open(folder.path(), [1; 16], 3);
        let known = again.known("f").unwrap();
        assert_eq!((known.running.as_str(), known.since), ("d", 3));
        assert_eq!(again.load("f", "b").unwrap().text, "text of b");
        // Positions of another journal say nothing.
        let other = Versions::open(folder.path(), [2; 16], 3);
        assert_eq!(other.known("f").unwrap().since, 0);
    }

    #[test]
    fn what_was_brought_back_stays_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut versions = Versions::open(folder.path(), [1; 16], 5);
        for hash in ["a", "b", "c"] {
            versions.runs("f", &version(hash), 0).unwrap();
        }
        versions.set_aside("f", Some("c".to_owned())).unwrap();
        versions.runs("f", &version("b"), 0).unwrap();
        assert_eq!(kept(&versions), ["a", "b", "c"]);
        // A new one takes over from what runs, which is then the one before.
        versions.set_aside("f", None).unwrap();
        versions.runs("f", &version("d"), 0).unwrap();
        assert_eq!(kept(&versions), ["a", "c", "b", "d"]);
    }

    #[test]
    fn what_has_taken_over_is_not_tried_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut versions = Versions::open(folder.path(), [1; 16], 5);
        versions.runs("f", &version("a"), 0).unwrap();
        versions.shadows("f", Some(&version("b"))).unwrap();
        versions.runs("f", &version("c"), 1).unwrap();
        assert_eq!(versions.known("f").unwrap().shadow.as_deref(), Some("b"));
        versions.runs("f", &version("b"), 2).unwrap();
        let again = Versions::open(folder.path(), [1; 16], 5);
        assert_eq!(again.known("f").unwrap().shadow, None);
    }

    #[test]
    fn a_torn_file_loses_one_filter_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut versions = Versions::open(folder.path(), [1; 16], 3);
        versions.runs("a/b", &version("a"), 0).unwrap();
        versions.runs("f", &version("a"), 0).unwrap();
        std::fs::write(versions.path("f"), "{").unwrap();
        let again = Versions::open(folder.path(), [1; 16], 3);
        assert!(again.known("f").is_none());
        assert!(again.known("a/b").is_some());
    }
}
