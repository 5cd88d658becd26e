//! Filters that a filter has the engine load: what SandboxManagerFilter is for.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

/// As many requests wait at most; further ones are refused.
const MAX_WAITING: usize = 64;

/// What the engine is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The filter that asks.
    pub manager: String,
    /// The entry of the journal and the message in it that asks: what is asked twice is done once.
    pub at: (u64, u64),
    /// The folder where what is loaded is kept.
    pub folder: PathBuf,
    /// How many filters the one that asks may have loaded.
    pub most: usize,
    /// The name of the filter that it is about.
    pub name: String,
    /// Its section, in TOML, and its script; it is unloaded without.
    pub filter: Option<(String, String)>,
}

/// Requests that wait for the engine.
#[derive(Debug, Default)]
pub struct Wishes {
    waiting: Mutex<VecDeque<Wish>>,
}

impl Wishes {
    /// Asks; tells whether that is not one too many.
    pub fn ask(&self, load: Wish) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_WAITING {
            return false;
        }
        waiting.push_back(load);
        true
    }

    /// The next request.
    pub fn next(&self) -> Option<Wish> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
