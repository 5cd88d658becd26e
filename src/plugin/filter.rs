//! The seam of filters: what analyses messages while they flow.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::Wishes;
use crate::message::Batch;
use crate::message::Builder;
use crate::message::Uuids;
use crate::stdx::embedded::Source;

/// A filter as configured.
pub trait Filter: Send + Sync {
    /// Gives what analyses, on the thread that will own it.
    ///
    /// # Errors
    /// When the settings cannot work: a script that does not load, a limit out of range.
    fn start(&self, cx: &FilterContext<'_>) -> anyhow::Result<Box<dyn Filtering>>;

    /// The files it is made of, besides its section; a change to one is a new version of the
    /// filter.
    fn files(&self, _engine: &Engine) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The texts it is made of, as they were when they were first asked for: what is started is made
    /// of the same, whatever has become of the files.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn sources(&self, _engine: &Engine) -> anyhow::Result<Vec<Source>> {
        Ok(Vec::new())
    }

    /// Has it made of these texts rather than of its files; before anything else is asked of it.
    fn pin(&self, _sources: Vec<Source>, _engine: &Engine) {}

    /// Takes the way to the engine for what it may want of it, before it starts.
    fn lend(&self, _wishes: &Arc<Wishes>) {}

    /// The folder of the filters that it has had loaded, if it is one that does.
    fn loads_from(&self, _engine: &Engine) -> Option<PathBuf> {
        None
    }

    /// Whether a change to its files is tried beside the running version before it takes over.
    fn is_shadowed(&self) -> bool {
        false
    }

    /// How many messages it may set aside in a minute before it is stopped for a while; `None`
    /// leaves it to the engine.
    fn max_failures(&self) -> Option<u32> {
        None
    }

    /// Whether state is kept over restarts.
    fn keeps_state(&self) -> bool {
        true
    }
}

/// What a filter is lent when it starts.
pub struct FilterContext<'a> {
    /// The name of its section.
    pub name: &'a str,
    /// The engine.
    pub engine: &'a Engine,
    /// Time between two ticks; zero is never.
    pub ticker_interval: Duration,
}

/// One round of work, and where its results go.
pub struct FilterCall<'a> {
    /// The number of the entry in the journal.
    pub entry: u64,
    /// When the entry was appended, in nanoseconds since the epoch: the filter's clock.
    pub time: i64,
    /// Engine time of the entry, in nanoseconds; never goes back.
    pub engine_time: u64,
    /// Where injected messages go.
    pub out: &'a mut Batch,
    /// Called for each message that is set aside.
    pub on_failure: &'a mut dyn FnMut(Failure),
}

impl FilterCall<'_> {
    /// Begins a message to inject: its time is the entry's, and its name follows from the filter,
    /// the entry and how many messages came before, so that a replay gives the same.
    pub fn begin(&mut self, filter: &str, message_type: &str, engine: &Engine) -> Builder<'_> {
        let count = self.out.len() as u64;
        let mut seed = FNV_OFFSET;
        let numbers = self.entry.to_le_bytes().into_iter().chain(count.to_le_bytes());
        for byte in filter.bytes().chain(numbers) {
            seed = (seed ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        let mut message = self.out.begin();
        message
            .uuid(&Uuids::seeded(seed).make())
            .timestamp(self.time)
            .message_type(message_type.as_bytes())
            .logger(filter.as_bytes())
            .pid(engine.pid)
            .hostname(engine.hostname.as_bytes());
        message
    }
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo).
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// The messages of one entry that a filter is to work through.
#[derive(Clone, Copy)]
pub struct Portion<'a> {
    /// The number of the entry in the journal.
    pub entry: u64,
    /// When the entry was appended, in nanoseconds since the epoch.
    pub time: i64,
    /// Engine time of the entry, in nanoseconds.
    pub engine_time: u64,
    /// The messages of the entry.
    pub batch: &'a Batch,
    /// The indices of those that matched, ascending; there is one at least.
    pub matched: &'a [u16],
}

/// A message that a filter could not process; it goes on with the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Index of the message in its batch; `None` when a timer failed.
    pub message: Option<u16>,
    /// What went wrong, with the traceback where there is one.
    pub reason: String,
}

/// Why a filter did not get to the end of its round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A limit ended the call for message number `message` (`None`: a timer). What it did is not
    /// reproducible: the filter is to be set back to its snapshot.
    Limit {
        /// Index of the message in its batch.
        message: Option<u16>,
        /// Which limit, in words.
        reason: String,
    },
    /// The filter ended itself for good.
    Ended {
        /// What it says why.
        reason: String,
    },
}

/// What a filter costs and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use.
    pub memory: u64,
    /// The most bytes ever in use.
    pub max_memory: u64,
    /// The most bytes a call has put out.
    pub max_output: u64,
}

/// Analyses messages, on one thread at a time.
pub trait Filtering: Send {
    /// It has come from another thread, between two calls.
    fn arrive(&mut self) {}

    /// Works through the messages of `batch` whose indices are in `matched`, in that order.
    /// Messages injected by one call stay together.
    ///
    /// # Errors
    /// When a limit was reached or the filter ended itself; what came before the failing message
    /// is done and counts.
    fn process(
        &mut self,
        batch: &Batch,
        matched: &[u16],
        call: &mut FilterCall<'_>,
    ) -> Result<(), Stop>;

    /// Works through the portions of several entries, which costs some filters less than one call
    /// for each. Returns how many were begun, one at least; after one in which something was
    /// injected or set aside, none is begun. `call` is about the first.
    ///
    /// # Errors
    /// As [`Filtering::process`], in the last portion begun.
    fn process_portions(
        &mut self,
        portions: &[Portion<'_>],
        call: &mut FilterCall<'_>,
    ) -> (usize, Result<(), Stop>) {
        let first = portions.first().map(|first| self.process(first.batch, first.matched, call));
        (1, first.unwrap_or(Ok(())))
    }

    /// Whether all that it has asked the engine for is done. No snapshot is taken before: one that
    /// lies behind the request would have it forgotten when the engine is killed.
    fn is_settled(&self) -> bool {
        true
    }

    /// Many calls may come, one after the other: what need not be done for each is done here.
    fn begin(&mut self) {}

    /// The calls are over for now.
    fn end(&mut self) {}

    /// Does what is due every `ticker_interval`.
    ///
    /// # Errors
    /// As [`Filtering::process`].
    fn timer(&mut self, _call: &mut FilterCall<'_>) -> Result<(), Stop> {
        Ok(())
    }

    /// The last timer before a clean stop, where the filter asks for one.
    ///
    /// # Errors
    /// As [`Filtering::process`].
    fn shut_down(&mut self, _call: &mut FilterCall<'_>) -> Result<(), Stop> {
        Ok(())
    }

    /// The state, to go on from; `None` where there is none to keep.
    ///
    /// # Errors
    /// When it cannot be written down.
    fn snapshot(&mut self) -> anyhow::Result<Option<Vec<u8>>>;

    /// Takes a state over, before the first call. Returns the names of what was not kept.
    ///
    /// # Errors
    /// When the state is not one of this filter.
    fn restore(&mut self, state: &[u8]) -> anyhow::Result<Vec<String>>;

    /// Allows calls more time than the limit says, for a replay; 1 is the limit itself.
    fn widen(&mut self, _factor: u32) {}

    /// What the filter costs.
    fn usage(&mut self) -> Usage {
        Usage::default()
    }
}
