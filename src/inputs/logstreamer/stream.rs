//! Hands what the followers read to the engine: a task for every stream.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use hashbrown::HashMap;
use hashbrown::HashSet;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Settings;
use super::follow::Follower;
use super::follow::Options;
use super::follow::Start;
use super::follow::Step;
use super::notices::Notices;
use super::place;
use super::place::Place;
use super::scan;
use super::scan::Identity;
use super::scan::Listing;
use super::scan::Scan;
use super::watch::Waiting;
use crate::plugin::InputContext;
use crate::plugin::Stream;
use crate::stdx::clock::Clock;
use crate::stdx::clock::System;

/// How many files that must not be read are remembered, so that each is told of once.
const MAX_TOLD: usize = 1_000;

/// All streams of an input.
pub(super) struct Streams {
    cx: InputContext,
    hostname: Option<String>,
    heka_journals: PathBuf,
    initial_tail: bool,
    options: Options,
    retry: Duration,
    followed: HashMap<String, Followed>,
    told: HashSet<PathBuf>,
    notices: Arc<Notices>,
    is_scanned: bool,
}

/// Asks for scans.
#[derive(Default)]
pub(super) struct Rescan {
    asked: AtomicU64,
    wake: Notify,
}

impl Rescan {
    /// Asks for a scan that begins from now on; its listings carry at least this number.
    pub(super) fn ask(&self) -> u64 {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake.notify_one();
        number
    }

    /// Waits until a scan is asked for, and until `then`.
    pub(super) async fn asked_after(&self, then: tokio::time::Instant) {
        tokio::time::sleep_until(then).await;
        self.wake.notified().await;
    }

    /// The number of the listings of a scan that begins now.
    pub(super) fn number(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The files of a stream and the number of the scan that found them.
type Listed = (u64, Listing);

/// A stream, seen from outside its task.
struct Followed {
    files: watch::Sender<Listed>,
    shared: Arc<Shared>,
}

/// What a task tells of itself.
#[derive(Default)]
struct Shared {
    /// The end of file it waits at, if it does.
    waiting: Mutex<Option<Waiting>>,
    wake: Arc<Notify>,
}

impl Shared {
    fn wait_at(&self, waiting: Option<Waiting>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }
}

impl Streams {
    pub(super) fn new(
        cx: &InputContext,
        settings: &Settings,
        options: Options,
        notices: &Arc<Notices>,
    ) -> Streams {
        let heka_journals = settings.journal_directory.clone();
        Streams {
            cx: cx.clone(),
            hostname: settings.hostname.clone(),
            heka_journals: heka_journals.unwrap_or_else(|| cx.engine.base_dir.join("logstreamer")),
            initial_tail: settings.initial_tail,
            options,
            retry: settings.check_data_interval,
            followed: HashMap::new(),
            told: HashSet::new(),
            notices: notices.clone(),
            is_scanned: false,
        }
    }

    /// Tells whether there was a scan.
    pub(super) fn is_scanned(&self) -> bool {
        self.is_scanned
    }

    /// Takes a scan over: streams hear of their files, new ones begin.
    pub(super) fn update(
        &mut self,
        (number, scan): (u64, Scan),
        rescan: &Arc<Rescan>,
        tasks: &mut JoinSet<anyhow::Result<()>>,
    ) {
        for path in scan.unreadable {
            if self.told.len() < MAX_TOLD && self.told.insert(path.clone()) {
                tracing::warn!(input = &*self.cx.name, file = %path.display(), "no permission to read");
            }
        }
        if !self.is_scanned && scan.streams.is_empty() {
            tracing::warn!(input = &*self.cx.name, "no file matches");
        }
        for (name, followed) in &self.followed {
            let is_there = scan.streams.contains_key(name)
                || (**name == *self.cx.name && scan.streams.contains_key(""));
            if !is_there {
                followed.files.send_replace((number, Arc::from([])));
                followed.shared.wake.notify_one();
            }
        }
        for (name, files) in scan.streams {
            let name = if name.is_empty() { self.cx.name.to_string() } else { name };
            if let Some(followed) = self.followed.get(&name) {
                followed.files.send_replace((number, files));
                followed.shared.wake.notify_one();
                continue;
            }
            if let Some(same) = scan::of_the_same_age(&files) {
                tracing::warn!(stream = name, files = ?same, "`priority` does not tell which is older");
            }
            let (sender, receiver) = watch::channel((number, files));
            let shared = Arc::<Shared>::default();
            let reading = self.reading(&name, receiver, &shared, rescan);
            tasks.spawn(reading.run());
            self.followed.insert(name, Followed { files: sender, shared });
        }
        self.is_scanned = true;
    }

    fn reading(
        &self,
        name: &str,
        files: watch::Receiver<Listed>,
        shared: &Arc<Shared>,
        rescan: &Arc<Rescan>,
    ) -> Reading {
        let source = self.cx.source(name);
        let last = self.cx.last_position(&source);
        let start = match last.and_then(|last| Some((Place::of(&last)?, last.offset))) {
            Some((place, offset)) => Start::Place(place, offset),
            None => match place::of_heka(&self.heka_journals, name) {
                Some((place, offset)) => {
                    tracing::info!(stream = name, offset, "going on where heka stopped");
                    Start::Place(place, offset)
                }
                // A stream that appears later is read from its start.
                None if self.initial_tail && !self.is_scanned => Start::End,
                None => Start::Oldest,
            },
        };
        let mut origin = self.cx.origin("logfile");
        origin.logger = name.as_bytes().to_vec();
        if let Some(hostname) = &self.hostname {
            origin.hostname = hostname.as_bytes().to_vec();
        }
        Reading {
            cx: self.cx.clone(),
            name: name.to_owned(),
            origin,
            follower: Follower::new(self.options, start),
            files,
            shared: shared.clone(),
            rescan: rescan.clone(),
            notices: self.notices.clone(),
            retry: self.retry,
            moved: None,
            told: None,
        }
    }

    /// Looks at the files that streams wait at, and wakes those with something new.
    pub(super) async fn look(&self, rescan: &Arc<Rescan>) {
        let waiting: Vec<_> =
            self.followed.values().map(|followed| followed.shared.clone()).collect();
        let looked = tokio::task::spawn_blocking(move || {
            let mut has_moved = false;
            for shared in waiting {
                let waiting = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(sight) = waiting.as_ref().map(Waiting::look) else { continue };
                if sight.has_changed || sight.has_moved {
                    shared.wake.notify_one();
                }
                has_moved |= sight.has_moved;
            }
            has_moved
        });
        if looked.await.unwrap_or(false) {
            rescan.ask();
        }
    }
}

/// One stream on its way into the engine.
struct Reading {
    cx: InputContext,
    name: String,
    origin: crate::plugin::Origin,
    follower: Follower,
    files: watch::Receiver<Listed>,
    shared: Arc<Shared>,
    rescan: Arc<Rescan>,
    notices: Arc<Notices>,
    retry: Duration,
    /// The file that was found to have lost its name.
    moved: Option<Identity>,
    /// What was last found to have been written before a wait: size and time.
    told: Option<(u64, i64)>,
}

impl Reading {
    async fn run(mut self) -> anyhow::Result<()> {
        let source = self.cx.source(&self.name);
        let mut stream = self.cx.stream(self.origin.clone(), Some(source)).await?;
        let clock = System::new();
        while !self.cx.stopping.is_cancelled() {
            let files = self.files.borrow_and_update().1.clone();
            let mut follower = self.follower;
            let (now, mut told) = (clock.wall(), self.told);
            let (notices, shared) = (self.notices.clone(), self.shared.clone());
            let (follower, step, waiting, told) = tokio::task::spawn_blocking(move || {
                let step = follower.step(&files, now);
                let is_waiting = matches!(step, Ok(Step::Wait(_)));
                let waiting = is_waiting.then(|| follower.waiting());
                if let Some(waiting) = &waiting {
                    waiting.ask(&notices, &shared.wake, &mut told);
                }
                (follower, step, waiting, told)
            })
            .await
            .context("a file could not be read")?;
            (self.follower, self.told) = (follower, told);
            match step {
                Ok(Step::Bytes { position, bytes, is_elsewhere }) => {
                    if is_elsewhere {
                        stream.end(true).await?;
                    }
                    stream.at(position).await?;
                    stream.bytes(bytes).await?;
                }
                Ok(Step::Wait(again)) => self.wait(waiting, again).await,
                Ok(Step::Scan) => self.scan().await,
                Ok(Step::Done) => return self.end(&mut stream).await,
                Err(error) => {
                    let (stream, file) = (&*self.name, self.file());
                    tracing::warn!(stream, %file, %error, "cannot read, trying again");
                    self.pause(self.retry.max(Duration::from_secs(1))).await;
                }
            }
        }
        // The engine may be ending already; then the next start reads the rest again.
        let _ = stream.durable().await;
        Ok(())
    }

    async fn end(&self, stream: &mut Stream) -> anyhow::Result<()> {
        stream.end(true).await?;
        stream.durable().await
    }

    /// Waits until the file may have changed or there are others, or until it is time.
    async fn wait(&mut self, waiting: Option<Waiting>, again: Option<Duration>) {
        let moved = waiting.as_ref().and_then(Waiting::moved);
        if moved.is_some() && moved != self.moved {
            // The listing may be from before.
            self.rescan.ask();
        }
        self.moved = moved;
        self.shared.wait_at(waiting);
        let time = async {
            match again {
                Some(again) => tokio::time::sleep(again).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.cx.stopping.cancelled() => {}
            () = self.shared.wake.notified() => {}
            () = time => {}
        }
        self.shared.wait_at(None);
    }

    /// Waits for a listing that is made from now on.
    async fn scan(&mut self) {
        let number = self.rescan.ask();
        tokio::select! {
            () = self.cx.stopping.cancelled() => {}
            listed = self.files.wait_for(|(listed, _)| *listed >= number) => {
                drop(listed);
            }
        }
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = self.cx.stopping.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    fn file(&self) -> String {
        self.follower.path().map(|path| path.display().to_string()).unwrap_or_default()
    }
}
