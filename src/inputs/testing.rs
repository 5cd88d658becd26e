//! What the tests of inputs lend them: an engine that cuts lines and keeps positions, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::message::Batch;
use crate::message::Source;
use crate::message::SourcePosition;
use crate::plugin::Delivery;
use crate::plugin::Engine;
use crate::plugin::InputContext;
use crate::plugin::Lender;
use crate::plugin::Origin;
use crate::plugin::Receipt;
use crate::plugin::Stopping;

/// An engine with nothing in it.
pub(super) fn engine() -> Engine {
    Engine {
        hostname: Arc::from("host"),
        pid: 42,
        base_dir: std::path::PathBuf::from("/nonexistent"),
        share_dir: std::path::PathBuf::new(),
        max_message_size: 65536,
        max_message_loops: 4,
        max_process_inject: 1,
        max_timer_inject: 10,
        memory: Arc::default(),
        metrics: Arc::default(),
    }
}

/// A record, and the origin it came with.
#[derive(Clone, Debug)]
pub(super) struct Delivered {
    pub(super) text: String,
    pub(super) origin: Arc<Origin>,
}

/// Lends what inputs need, and keeps what they deliver.
#[derive(Clone)]
pub(super) struct Desk {
    name: Arc<str>,
    pub(super) stopping: Stopping,
    pub(super) until_done: bool,
    pub(super) ticker_interval: Duration,
    pub(super) engine: Engine,
    kept: Arc<Mutex<Kept>>,
    changed: Arc<tokio::sync::Notify>,
}

#[derive(Default)]
struct Kept {
    delivered: Vec<Delivered>,
    messages: Vec<Arc<Batch>>,
    positions: BTreeMap<Source, SourcePosition>,
}

impl Desk {
    pub(super) fn new(name: &str) -> Desk {
        Desk {
            name: Arc::from(name),
            stopping: Stopping::new(),
            until_done: false,
            ticker_interval: Duration::ZERO,
            engine: engine(),
            kept: Arc::default(),
            changed: Arc::default(),
        }
    }

    /// The same journal, in an engine that was started again.
    pub(super) fn restarted(&self) -> Desk {
        Desk { stopping: Stopping::new(), ..self.clone() }
    }

    pub(super) fn context(&self) -> InputContext {
        InputContext {
            name: self.name.clone(),
            engine: self.engine.clone(),
            ticker_interval: self.ticker_interval,
            stopping: self.stopping.clone(),
            until_done: self.until_done,
            lender: Arc::new(self.clone()),
        }
    }

    /// Everything that was delivered.
    pub(super) fn delivered(&self) -> Vec<Delivered> {
        self.kept.lock().unwrap().delivered.clone()
    }

    /// What was delivered under a logger, in order.
    pub(super) fn lines(&self, logger: &str) -> Vec<String> {
        let of_logger = |one: &Delivered| one.origin.logger == logger.as_bytes();
        self.delivered().into_iter().filter(of_logger).map(|one| one.text).collect()
    }

    /// Waits until so many batches of messages were delivered.
    pub(super) async fn wait_for_messages(&self, batches: usize) -> Vec<Arc<Batch>> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                let messages = self.kept.lock().unwrap().messages.clone();
                if messages.len() >= batches {
                    return messages;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        waited.unwrap_or_else(|_| panic!("no {batches} batches"))
    }

    /// Waits until so many records were delivered.
    pub(super) async fn wait_for(&self, records: usize) -> Vec<Delivered> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                let delivered = self.delivered();
                if delivered.len() >= records {
                    return delivered;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        waited.unwrap_or_else(|_| panic!("{records} records, but only {:?}", self.delivered()))
    }
}

#[async_trait]
impl Lender for Desk {
    async fn open(
        &self,
        origin: Origin,
        source: Option<Source>,
    ) -> anyhow::Result<Box<dyn Delivery>> {
        let position = SourcePosition::default();
        let origin = Arc::new(origin);
        Ok(Box::new(Lines { desk: self.clone(), origin, source, position, carry: Vec::new() }))
    }

    fn count_dropped(&self, _count: u64) {}

    fn journal(&self) -> [u8; 16] {
        [9; 16]
    }

    fn largest_entry(&self) -> usize {
        1 << 20
    }

    fn last_position(&self, source: &Source) -> Option<SourcePosition> {
        self.kept.lock().unwrap().positions.get(source).cloned()
    }

    fn last_positions(&self, prefix: &str) -> Vec<(Source, SourcePosition)> {
        let kept = self.kept.lock().unwrap();
        let of_prefix = kept.positions.iter().filter(|(source, _)| source.starts_with(prefix));
        of_prefix.map(|(source, position)| (source.clone(), position.clone())).collect()
    }
}

/// Cuts lines.
struct Lines {
    desk: Desk,
    origin: Arc<Origin>,
    source: Option<Source>,
    position: SourcePosition,
    carry: Vec<u8>,
}

impl Lines {
    fn keep(&mut self, line: &[u8], origin: &Arc<Origin>) {
        let text = String::from_utf8_lossy(line).into_owned();
        let mut kept = self.desk.kept.lock().unwrap();
        kept.delivered.push(Delivered { text, origin: origin.clone() });
    }

    fn note(&self) {
        if let Some(source) = &self.source {
            let mut kept = self.desk.kept.lock().unwrap();
            kept.positions.insert(source.clone(), self.position.clone());
        }
        self.desk.changed.notify_waiters();
    }
}

#[async_trait]
impl Delivery for Lines {
    async fn at(&mut self, position: SourcePosition) -> anyhow::Result<()> {
        if position.offset != self.position.offset + self.carry.len() as u64 {
            assert!(self.carry.is_empty(), "the input drops {:?}", self.carry);
            self.position.offset = position.offset;
        }
        self.position.detail = position.detail;
        Ok(())
    }

    async fn bytes(&mut self, bytes: Bytes) -> anyhow::Result<()> {
        self.carry.extend_from_slice(&bytes);
        while let Some(end) = self.carry.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.carry.drain(..=end).collect();
            self.position.offset += line.len() as u64;
            self.keep(&line[..end], &self.origin.clone());
        }
        self.note();
        Ok(())
    }

    async fn whole(&mut self, bytes: Bytes, origin: Option<Arc<Origin>>) -> anyhow::Result<()> {
        let origin = origin.unwrap_or_else(|| self.origin.clone());
        self.keep(&bytes, &origin);
        self.note();
        Ok(())
    }

    async fn messages(&mut self, batch: Batch) -> anyhow::Result<()> {
        for message in batch.iter() {
            let mut origin = Origin::default();
            origin.copy_from(&message);
            self.keep(message.payload(), &Arc::new(origin));
        }
        if !batch.is_empty() {
            self.desk.kept.lock().unwrap().messages.push(Arc::new(batch));
        }
        self.note();
        Ok(())
    }

    async fn frames(&mut self, bytes: Bytes, position: SourcePosition) -> anyhow::Result<()> {
        self.position = position;
        self.messages(Batch::from_frames(bytes.to_vec())?).await
    }

    async fn receipt(&mut self) -> anyhow::Result<Receipt> {
        Ok(Box::pin(async { Ok(()) }))
    }

    async fn end(&mut self, keep_incomplete: bool) -> anyhow::Result<()> {
        let rest = std::mem::take(&mut self.carry);
        self.position.offset += rest.len() as u64;
        if keep_incomplete && !rest.is_empty() {
            self.keep(&rest, &self.origin.clone());
            self.note();
        }
        Ok(())
    }

    async fn durable(&mut self) -> anyhow::Result<()> {
        self.desk.changed.notify_waiters();
        Ok(())
    }
}
