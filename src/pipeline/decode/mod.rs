//! Decode threads: they split, decode and append.
//!
//! A thread owns many streams and one open batch, into which all of them write; the batch is
//! appended when it is full, 5 ms after its first message, or when someone waits for it to be
//! durable. A stream stays on its thread, so its messages keep their order. When the journal holds
//! back, the thread waits in it, its queue fills, and the inputs wait.

mod batching;
mod feed;
mod stream;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use anyhow::Context;
use bytes::Bytes;
use crossbeam_channel::Receiver;
use crossbeam_channel::RecvTimeoutError;
use crossbeam_channel::Sender;
use tokio::sync::Semaphore;
use tokio::sync::oneshot;

use self::batching::Halted;
use self::batching::Open;
pub(super) use self::stream::DecodeFailures;
use self::stream::Stream;
pub(super) use self::stream::StreamPlan;
use super::parts::Parts;
use crate::journal;
use crate::journal::Journal;
use crate::message::Batch;
use crate::message::SourcePosition;
use crate::message::Uuids;
use crate::plugin::Claim;
use crate::plugin::Memory;
use crate::plugin::Origin;
use crate::plugin::Receipt;
use crate::stdx::clock::Clock;

/// How many jobs may wait for one thread; a job is at most a chunk of 256 KiB.
const QUEUE: usize = 8;

/// Why a stream gets no position.
const NOT_TAKEN: &str = "the journal has not taken it, or the engine is stopping";

/// Something a stream asks of its thread.
pub(super) enum Work {
    /// Open the stream.
    Open(Box<StreamPlan>, oneshot::Sender<anyhow::Result<()>>),
    /// The next byte lies here.
    At(SourcePosition),
    /// The next bytes, and what of the memory they take.
    Bytes(Bytes, Claim),
    /// Something whole, with an origin of its own.
    Whole(Bytes, Option<Arc<Origin>>),
    /// Messages that are ready.
    Messages(Batch),
    /// Messages that the decoder goes on with.
    Undecoded(Batch),
    /// The bytes end here.
    End { keep_incomplete: bool },
    /// Whole frames, and where the source then is.
    Frames(Bytes, SourcePosition),
    /// Say where what there is was appended, once it is.
    Receipt(oneshot::Sender<journal::Position>),
    /// Append what there is and say where it is.
    Append(oneshot::Sender<journal::Position>),
    /// The streams of this input go over to the decoders of these parts.
    Recode(Arc<str>, Arc<Parts>, oneshot::Sender<anyhow::Result<()>>),
    /// The stream is no more.
    Close,
    /// No stream is any more: append what there is and end.
    Finish,
}

/// Work of one stream.
struct Job {
    stream: u64,
    work: Work,
}

/// One thread, seen from the inputs.
#[derive(Clone)]
pub(super) struct Queue {
    jobs: Sender<Job>,
    /// As many permits as the queue has free places, so that sending never blocks the reactor.
    places: Arc<Semaphore>,
}

impl Queue {
    /// Waits for a place and puts the work into it.
    pub(super) async fn put(&self, stream: u64, work: Work) -> anyhow::Result<()> {
        let place = self.places.acquire().await.context("the engine is stopping")?;
        place.forget();
        self.jobs.send(Job { stream, work }).context("the engine is stopping")
    }

    /// Says that the stream is no more, without waiting: [`QUEUE`] is half of the queue's room, and
    /// where even the other half is full, the stream ends with the thread.
    fn close(&self, stream: u64) {
        let _ = self.jobs.try_send(Job { stream, work: Work::Close });
    }
}

/// All decode threads.
pub(super) struct DecodeThreads {
    queues: Vec<Queue>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
    opened: AtomicU64,
    halted: Halted,
}

impl DecodeThreads {
    /// Starts `count` threads that append to `journal`.
    pub(super) fn start(
        count: usize,
        journal: &Journal,
        clock: &Arc<dyn Clock>,
    ) -> std::io::Result<DecodeThreads> {
        let mut queues = Vec::new();
        let mut threads = Vec::new();
        let halted = Halted::default();
        for number in 0..count {
            let (tx, rx) = crossbeam_channel::bounded(2 * QUEUE);
            let places = Arc::new(Semaphore::new(QUEUE));
            let (journal, clock, given) = (journal.clone(), clock.clone(), places.clone());
            let told = halted.clone();
            let builder = std::thread::Builder::new().name(format!("decode-{number}"));
            let thread = builder.stack_size(8 << 20).spawn(move || {
                let thread = Thread {
                    jobs: rx,
                    places: given,
                    streams: hashbrown::HashMap::default(),
                    open: Open::new(journal, told),
                    clock,
                    uuids: Uuids::default(),
                };
                thread.run();
            });
            threads.push(thread?);
            queues.push(Queue { jobs: tx, places });
        }
        let threads = Mutex::new(threads);
        Ok(DecodeThreads { queues, threads, opened: AtomicU64::new(0), halted })
    }

    /// The reader because of which the journal stops the engine, if it does.
    pub(super) fn halted(&self) -> Option<Arc<str>> {
        self.halted.get().cloned()
    }

    /// Has all streams of `input` go over to the decoders of `parts`, each between two records. A
    /// stream whose decoder does not start keeps the one it has.
    pub(super) async fn recode(&self, input: &Arc<str>, parts: &Arc<Parts>) -> anyhow::Result<()> {
        let mut answers = Vec::new();
        for queue in &self.queues {
            let (tx, rx) = oneshot::channel();
            queue.put(u64::MAX, Work::Recode(input.clone(), parts.clone(), tx)).await?;
            answers.push(rx);
        }
        for answer in answers {
            answer.await.context("the engine is stopping")??;
        }
        Ok(())
    }

    /// A thread for a new stream, and the stream's number.
    pub(super) fn assign(&self) -> (Queue, u64) {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let index = usize::try_from(number).unwrap_or(0) % self.queues.len();
        (self.queues[index].clone(), number)
    }

    /// Ends the threads when all that was put into their queues is appended.
    pub(super) fn join(&self) {
        for queue in &self.queues {
            let _ = queue.jobs.send(Job { stream: u64::MAX, work: Work::Finish });
        }
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a decode thread has panicked");
            }
        }
    }
}

/// One thread.
struct Thread {
    jobs: Receiver<Job>,
    places: Arc<Semaphore>,
    streams: hashbrown::HashMap<u64, Stream>,
    open: Open,
    clock: Arc<dyn Clock>,
    uuids: Uuids,
}

impl Thread {
    fn run(mut self) {
        loop {
            let job = match self.open.deadline() {
                None => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(deadline) => self.jobs.recv_deadline(deadline),
            };
            match job {
                Ok(job) => {
                    if matches!(job.work, Work::Finish) {
                        break;
                    }
                    let is_close = matches!(job.work, Work::Close);
                    self.work(job);
                    if !is_close {
                        self.places.add_permits(1);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.open.append();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.open.append();
        // Whoever still waits for a place is told that there will be none.
        self.places.close();
    }

    fn work(&mut self, Job { stream: number, work }: Job) {
        if let Work::Open(plan, opened) = work {
            let started = Stream::open(*plan);
            let refused = self.open.refused();
            let _ = opened.send(started.map(|mut stream| {
                stream.refused = refused;
                self.streams.insert(number, stream);
            }));
            return;
        }
        if let Work::Recode(input, parts, recoded) = work {
            let streams = self.streams.values_mut();
            let mut theirs = streams.filter(|stream| stream.plan.input == input);
            let result = theirs.try_for_each(|stream| stream.recode(&parts));
            let _ = recoded.send(result);
            return;
        }
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let now = self.clock.wall();
        let mut feed = feed::Feed { open: &mut self.open, uuids: &mut self.uuids, now, number };
        match work {
            Work::At(position) => stream.seek(position),
            Work::Bytes(bytes, _claim) => feed.bytes(stream, &bytes),
            Work::Whole(bytes, origin) => feed.whole(stream, &bytes, origin.as_deref()),
            Work::Messages(batch) => feed.messages(stream, &batch),
            Work::Undecoded(batch) => feed.undecoded(stream, &batch),
            Work::End { keep_incomplete } => feed.end(stream, keep_incomplete),
            Work::Frames(bytes, position) => feed.frames(stream, &bytes, position),
            Work::Append(appended) => {
                let position = self.open.append_now();
                // Dropped, it says that something was not taken.
                if std::mem::replace(&mut stream.refused, self.open.refused()) == stream.refused {
                    let _ = appended.send(position);
                }
            }
            Work::Receipt(appended) => {
                stream.is_broken |= stream.refused != self.open.refused();
                if !stream.is_broken {
                    self.open.promise(appended);
                }
            }
            Work::Close => {
                self.streams.remove(&number);
            }
            Work::Open(..) | Work::Recode(..) | Work::Finish => {}
        }
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.claim_carry();
        }
    }
}

/// A stream as an input holds it.
pub(super) struct Opened {
    queue: Queue,
    number: u64,
    progress: super::progress::Progress,
    memory: Arc<Memory>,
}

impl Opened {
    /// Opens a stream on a thread of `threads`.
    pub(super) async fn open(
        threads: &DecodeThreads,
        plan: StreamPlan,
        progress: super::progress::Progress,
    ) -> anyhow::Result<Opened> {
        let (queue, number) = threads.assign();
        let (tx, rx) = oneshot::channel();
        let memory = plan.engine.memory.clone();
        queue.put(number, Work::Open(Box::new(plan), tx)).await?;
        rx.await.context("the engine is stopping")??;
        Ok(Opened { queue, number, progress, memory })
    }

    async fn put(&self, work: Work) -> anyhow::Result<()> {
        self.queue.put(self.number, work).await
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.queue.close(self.number);
    }
}

#[async_trait::async_trait]
impl crate::plugin::Delivery for Opened {
    async fn at(&mut self, position: SourcePosition) -> anyhow::Result<()> {
        self.put(Work::At(position)).await
    }

    async fn bytes(&mut self, bytes: Bytes) -> anyhow::Result<()> {
        let claim = self.memory.claim(bytes.len()).await?;
        self.put(Work::Bytes(bytes, claim)).await
    }

    async fn whole(&mut self, bytes: Bytes, origin: Option<Arc<Origin>>) -> anyhow::Result<()> {
        self.put(Work::Whole(bytes, origin)).await
    }

    async fn messages(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.put(Work::Messages(batch)).await
    }

    async fn undecoded(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.put(Work::Undecoded(batch)).await
    }

    async fn end(&mut self, keep_incomplete: bool) -> anyhow::Result<()> {
        self.put(Work::End { keep_incomplete }).await
    }

    async fn frames(&mut self, bytes: Bytes, position: SourcePosition) -> anyhow::Result<()> {
        self.put(Work::Frames(bytes, position)).await
    }

    async fn durable(&mut self) -> anyhow::Result<()> {
        let (tx, rx) = oneshot::channel();
        self.put(Work::Append(tx)).await?;
        let position = rx.await.context(NOT_TAKEN)?;
        self.progress.durable(position).await;
        Ok(())
    }

    async fn receipt(&mut self) -> anyhow::Result<Receipt> {
        let (tx, rx) = oneshot::channel();
        self.put(Work::Receipt(tx)).await?;
        let progress = self.progress.clone();
        Ok(Box::pin(async move {
            let position = rx.await.context(NOT_TAKEN)?;
            progress.durable(position).await;
            Ok(())
        }))
    }
}
