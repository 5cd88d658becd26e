//! The log that everything is appended to.
//!
//! Whatever enters the engine, what filters inject and what time it is becomes an entry, with a
//! position that is used once. Everything else reads: filters and outputs each have a reader, and
//! the journal keeps what the slowest of them still needs.
//!
//! An append puts the entry into the tail, in memory, under a short lock. One thread writes it into
//! a segment and syncs it, many at a time. Readers at the tail are given the very entry that was
//! appended; those that have fallen behind read the disk. What leaves the engine or is written down
//! is synced before.
//!
//! On disk the journal is a folder:
//!
//! | name | what |
//! | --- | --- |
//! | `<number>.segment` | entries, one after the other: head in [`table`], entries in [`layout`] |
//! | `<number>.spare`, `<number>.new` | a file for the next segment; one that was not finished |
//! | `snapshots/<number>.snapshots` | states of filters: [`snapshots`], [`states`] |
//! | `values/<number>.value` | small named values: [`values`] |
//! | `damaged/` | what a repair has taken out: [`repair()`] |
//! | `memory` | of a journal in memory, what outlives it: [`memory`] |
//!
//! In reading order: what an entry is ([`Entry`], [`layout`], [`table`]), what the threads share
//! ([`state`], [`readers`]), appending ([`append`]), writing ([`stage`], [`disk`], [`writer`]), what is given
//! up ([`retention`]), reading ([`reader`], [`walk`]), opening ([`recovery`], [`scan`]), and reading
//! beside an engine that runs ([`read_only`], [`survey()`]).

mod append;
mod disk;
mod encoding;
mod entry;
mod error;
#[cfg(test)]
mod faults;
mod files;
mod kept_states;
mod layout;
mod memory;
mod open;
mod patience;
mod read_only;
mod reader;
mod readers;
mod recovery;
mod repair;
mod retention;
mod scan;
mod segment;
mod settings;
mod snapshots;
mod spares;
mod stage;
mod state;
mod states;
mod status;
mod survey;
mod table;
#[cfg(test)]
mod tests;
mod values;
mod walk;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use entry::Body;
pub use entry::Entry;
pub use entry::Note;
pub use entry::Position;
pub use error::Error;
pub use kept_states::KeptState;
pub use kept_states::kept_states;
pub use read_only::ReadOnly;
pub use read_only::open_read_only;
pub use reader::Keeps;
pub use reader::Lag;
pub use reader::Missing;
pub use reader::Next;
pub use reader::Reader;
pub use reader::ReaderOptions;
pub use reader::Reads;
pub use reader::Start;
pub use recovery::Recovery;
pub use repair::repair;
pub use scan::Damage;
pub use settings::Compression;
pub use settings::FullAction;
pub use settings::Settings;
pub use settings::StorageKind;
pub use snapshots::Snapshot;
pub use status::ReaderStatus;
pub use status::Status;
pub use survey::Amount;
pub use survey::Finding;
pub use survey::Survey;
pub use survey::SurveyedReader;
pub use survey::survey;

use crate::message::Batch;
use crate::message::Source;
use crate::message::SourcePosition;
use crate::stdx::clock::Clock;
use crate::stdx::sync::Mutex;
use crate::stdx::sync::thread;
use append::Appender;
use open::Lock;
use state::Shared;

/// The log; a handle that can be cloned and shared.
#[derive(Clone, Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    keeper: Arc<Mutex<Keeper>>,
}

/// What has to be ended or let go when a journal is closed.
#[derive(Debug, Default)]
struct Keeper {
    writer: Option<thread::JoinHandle<()>>,
    lock: Option<Lock>,
}

impl Journal {
    /// Opens the journal below `base_dir`, or makes one.
    ///
    /// # Errors
    /// When another engine has `base_dir`, the folder cannot be read or written, or a segment is of
    /// a newer format.
    pub fn open(
        base_dir: &Path,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Journal, Recovery), Error> {
        open::open(base_dir, settings, clock)
    }

    /// What tells this journal from every other.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.shared.id
    }

    /// The largest entry it takes, in bytes.
    #[must_use]
    pub fn largest_entry(&self) -> usize {
        self.shared.largest_entry()
    }

    /// An empty batch with the memory of one that nobody needs any more.
    #[must_use]
    pub fn spare(&self) -> Option<Batch> {
        self.shared.spares.take()
    }

    /// Appends what an input has decoded. Waits while too much is not synced yet, and while the
    /// budget is full and the reader furthest behind says `block`.
    ///
    /// # Errors
    /// [`Error::Closing`] once [`Journal::release_appenders`] was called, [`Error::Full`] when the
    /// reader furthest behind says `shutdown`, [`Error::TooLarge`].
    pub fn append(&self, batch: Batch) -> Result<Position, Error> {
        self.shared.append_batch(batch, Appender::Input)
    }

    /// As [`Journal::append`], for what loses more the longer it waits, as datagrams do: it does not
    /// give readers that are about to fall out of memory a moment.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_hurried(&self, batch: Batch) -> Result<Position, Error> {
        self.shared.append_batch(batch, Appender::Hurried)
    }

    /// Appends what a filter has injected, or gives it back; it may use the kept part of the budget
    /// and does not wait for readers.
    ///
    /// # Errors
    /// [`Error::Full`] when that part is gone too, [`Error::Closing`], [`Error::TooLarge`].
    #[allow(clippy::result_large_err, reason = "a batch goes back once in a while")]
    pub fn append_injected(&self, batch: Batch) -> Result<Position, (Error, Batch)> {
        self.shared.append_or_give_back(batch)
    }

    /// Appends a tick; nothing while ticks pause because the budget is gone or the disk fails.
    ///
    /// # Errors
    /// [`Error::Closing`].
    pub fn append_tick(&self) -> Result<Option<Position>, Error> {
        self.shared.append_tick()
    }

    /// Appends a note; it may use the kept part of the budget.
    ///
    /// # Errors
    /// As [`Journal::append_injected`].
    pub fn append_note(&self, note: Note) -> Result<Position, Error> {
        self.shared.append_note(note)
    }

    /// The last entry, or where the next one comes after.
    #[must_use]
    pub fn end(&self) -> Position {
        self.shared.end()
    }

    /// The last entry that may be acknowledged to whoever sent it. On disk it is synced; in memory
    /// every reader that holds entries back is done with it.
    #[must_use]
    pub fn durable(&self) -> Position {
        self.shared.durable()
    }

    /// The last entry that may leave the engine, and up to which snapshots may be stored. On disk
    /// the same as [`Journal::durable`]; in memory the end.
    #[must_use]
    pub fn settled(&self) -> Position {
        self.shared.settled()
    }

    /// The first entry that can still be read.
    #[must_use]
    pub fn oldest(&self) -> Position {
        self.shared.lock().oldest
    }

    /// Asks for a sync that covers `position`; returns at once.
    pub fn want_durable(&self, position: Position) {
        self.shared.want_durable(position);
    }

    /// Waits until `position` is durable; tells whether it is.
    ///
    /// # Errors
    /// [`Error::Closing`] when the journal was closed before.
    pub fn wait_durable(&self, position: Position, timeout: Duration) -> Result<bool, Error> {
        self.shared.wait_durable(position, timeout)
    }

    /// Has `wake` called after appends and after syncs; it must be quick and not call the journal.
    pub fn subscribe(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.shared.subscribe(wake);
    }

    /// Has `wake` called after syncs alone, for those who read what is durable.
    pub fn subscribe_durable(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.shared.subscribe_synced(wake);
    }

    /// A reader called `name`; one the journal knows goes on where it was.
    ///
    /// # Errors
    /// When there are too many readers.
    pub fn reader(&self, name: &str, options: ReaderOptions) -> Result<Reader, Error> {
        open::reader(&self.shared, name, options)
    }

    /// How far `source` has been read, by what is appended.
    #[must_use]
    pub fn last_position(&self, source: &str) -> Option<SourcePosition> {
        self.shared.lock().sources.get(source).map(|reached| reached.position.clone())
    }

    /// How far the sources have been read whose names start with `prefix`, in no order.
    #[must_use]
    pub fn last_positions(&self, prefix: &str) -> Vec<(Source, SourcePosition)> {
        let state = self.shared.lock();
        let matching = state.sources.iter().filter(|(source, _)| source.starts_with(prefix));
        matching.map(|(source, reached)| (source.clone(), reached.position.clone())).collect()
    }

    /// Stores snapshots in one file with one sync; where the state is as it was only the position
    /// moves, and is written down within a second.
    ///
    /// # Errors
    /// [`Error::Ahead`] when one is beyond [`Journal::settled`]; when the disk refuses.
    pub fn store_snapshots(&self, snapshots: &[Snapshot]) -> Result<(), Error> {
        self.shared.store_snapshots(snapshots)
    }

    /// The newest state of `reader` and the position it is good for.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when it is damaged; when the disk refuses.
    pub fn snapshot(&self, reader: &str) -> Result<Option<(Position, Vec<u8>)>, Error> {
        self.shared.snapshot(reader)
    }

    /// The newest state kept of `reader` that is not beyond `position`, for replay: one an hour is
    /// kept as long as the history behind it.
    ///
    /// # Errors
    /// As [`Journal::snapshot`].
    pub fn snapshot_before(
        &self,
        reader: &str,
        position: Position,
    ) -> Result<Option<(Position, Vec<u8>)>, Error> {
        self.shared.snapshots().before(reader, position)
    }

    /// Keeps a small value, at most 64 KiB, under `name`; durable on return. An empty one is removed.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooMany`], or when the disk refuses.
    pub fn put(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.shared.values().put(name, value)
    }

    /// The value kept under `name`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Vec<u8>> {
        self.shared.values().get(name)
    }

    /// All readers with a name, and how they are.
    #[must_use]
    pub fn readers(&self) -> Vec<ReaderStatus> {
        self.shared.reader_status()
    }

    /// Gives up the cursor and the snapshots of `reader`.
    pub fn forget(&self, reader: &str) {
        self.shared.forget(reader);
    }

    /// Lets `reader` hold nothing back any more: it is not configured, or stopped. Opening it again
    /// takes that back.
    pub fn retire(&self, reader: &str) {
        self.shared.retire(reader);
    }

    /// Keeps a quarter of the usual number of entries in memory while memory is short; readers find the
    /// others on the disk.
    pub fn hold_less(&self, is_short: bool) {
        self.shared.hold_less(is_short);
    }

    /// How the journal is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Sends inputs away that wait or come to append: they get [`Error::Closing`].
    pub fn release_appenders(&self) {
        self.shared.lock().is_closing = true;
        self.shared.changed.notify_all();
    }

    /// Syncs, writes down cursors and the mark of a clean end, and lets go of `base_dir`.
    ///
    /// # Errors
    /// When what is in memory could not be written.
    pub fn close(&self) -> Result<(), Error> {
        open::close(&self.shared, &self.keeper)
    }
}
