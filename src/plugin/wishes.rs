//! Filters that a filter has the engine load: what SandboxManagerFilter is for.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
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
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    waiting: VecDeque<Wish>,
    /// Whose request is being done.
    doing: Option<String>,
}

impl Wishes {
    /// Asks; tells whether that is not one too many.
    pub fn ask(&self, load: Wish) -> bool {
        let waiting = &mut self.lock().waiting;
        if waiting.len() >= MAX_WAITING {
            return false;
        }
        waiting.push_back(load);
        true
    }

    /// The next request, the one before being done.
    pub fn next(&self) -> Option<Wish> {
        let mut asked = self.lock();
        let next = asked.waiting.pop_front();
        asked.doing = next.as_ref().map(|wish| wish.manager.clone());
        next
    }

    /// Whether something that this filter has asked for is not done yet.
    pub fn waits(&self, manager: &str) -> bool {
        let asked = self.lock();
        let is_waiting = asked.waiting.iter().any(|wish| wish.manager == manager);
        is_waiting || asked.doing.as_deref() == Some(manager)
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
