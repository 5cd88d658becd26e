//! A Lua script that sends messages.
//!
//! The script has a thread of its own. A load goes to it whole and comes back with what became of each
//! message. Those that are not certain yet (-4 and -5) stand in a ledger with the ends of the entries
//! between them: when the script says that they are done, the output says up to which entry all is.
//! A script that asks for a message again (-3) gets it with the state it has, handed over from one
//! output to the next; so does one that holds messages back when it is to end. After a limit the output is
//! opened with a fresh script, and what was not certain comes again: earlier loads by themselves, of the one
//! at hand what the script had taken of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;

use crate::message::Header;
use crate::message::Message;
use crate::message::frame;
use crate::message::frame::Step;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Encoded;
use crate::plugin::Failure;
use crate::plugin::Handover;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;
use crate::sandbox::Role;
use crate::sandbox::Sandbox;
use crate::sandbox::Settings;
use crate::sandbox::Spec;
use crate::sandbox::Stop;
use crate::sandbox::Trouble;
use crate::sandbox::Verdict;

/// How many orders may wait for the thread.
const QUEUE: usize = 4;

/// Sends messages with a Lua script, which may write files and to the network.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(from = "Settings")]
#[schemars(with = "Settings")]
pub(super) struct SandboxOutput {
    settings: Settings,
    thread: Option<Running>,
    /// Where the thread is left for the output that is opened next.
    handover: Handover,
    /// Whether the script goes on with its state after the failure at hand.
    is_kept: bool,
    /// How far the load at hand is certain.
    place: Option<Place>,
}

/// A record of a load: all before it are certain.
#[derive(Clone, Copy, Debug)]
struct Place {
    entry: u64,
    record: usize,
}

/// What one output leaves for the next.
#[derive(Debug)]
enum Left {
    /// The script goes on.
    Thread(Running, Option<Place>),
    /// A fresh script begins here.
    Fresh(Place),
}

impl From<Settings> for SandboxOutput {
    fn from(settings: Settings) -> SandboxOutput {
        let handover = Handover::default();
        SandboxOutput { settings, thread: None, handover, is_kept: false, place: None }
    }
}

/// The thread of the script, as the task sees it.
#[derive(Debug)]
struct Running {
    orders: mpsc::Sender<Order>,
    settled: watch::Receiver<u64>,
    stopping: Arc<AtomicBool>,
    /// Whether the script has been given nothing yet.
    is_fresh: bool,
}

impl Described for SandboxOutput {
    const NAME: &'static str = "SandboxOutput";
    const ABOUT: &'static str = "Sends messages with a Lua script.";
    const EXAMPLE: &'static str = "[SandboxOutput]\nmessage_matcher = \"TRUE\"\n\
        filename = \"lua_outputs/example.lua\"\nticker_interval = 10\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("ProtobufEncoder"), ..Defaults::NONE };
}

/// What the thread is to do.
enum Order {
    Send { encoded: Encoded, first: usize, entry: u64, reply: oneshot::Sender<Outcome> },
    Tick { is_last: bool, reply: oneshot::Sender<Result<bool, Failure>> },
}

/// What became of a load.
struct Outcome {
    encoded: Encoded,
    /// How many records are done with.
    done: usize,
    /// Where those begin that are not certain.
    place: Place,
    /// Whether the script asks for the next one again and is to keep its state.
    is_asking: bool,
    result: Result<Sent, Failure>,
}

#[async_trait]
impl Output for SandboxOutput {
    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        if !cx.has_messages {
            let error = anyhow!("the script reads messages: its encoder is ProtobufEncoder");
            return Err(Failure::Stop(error));
        }
        self.handover = cx.handover.clone();
        self.is_kept = false;
        match self.handover.take() {
            Some(Left::Thread(thread, place)) => {
                (self.thread, self.place) = (Some(thread), place);
                return Ok(());
            }
            Some(Left::Fresh(place)) => self.place = Some(place),
            None => self.place = None,
        }
        let spec = self.settings.spec(&cx.name, Role::Output, &cx.engine.share_dir);
        let mut spec = spec.map_err(|error| Failure::Stop(error.into()))?;
        spec.hostname = cx.engine.hostname.to_string();
        spec.pid = cx.engine.pid;
        if self.settings.cpu_limit.is_none() {
            spec.limits.cpu = std::time::Duration::ZERO;
        }
        let stopping = spec.stopping.clone();
        let (orders, rx) = mpsc::channel(QUEUE);
        let (settled_tx, settled) = watch::channel(0);
        let (loaded_tx, loaded) = oneshot::channel();
        let is_framed = cx.is_framed;
        let builder = std::thread::Builder::new().name(cx.name.to_string()).stack_size(8 << 20);
        let spawned =
            builder.spawn(move || match ScriptThread::new(&spec, is_framed, settled_tx) {
                Ok(thread) => {
                    let _ = loaded_tx.send(Ok(()));
                    thread.run(rx);
                }
                Err(error) => drop(loaded_tx.send(Err(error))),
            });
        spawned.context("cannot start a thread").map_err(Failure::Retry)?;
        let loaded = loaded.await.unwrap_or_else(|_| Err(anyhow!("the script's thread has died")));
        loaded.map_err(Failure::Stop)?;
        self.thread = Some(Running { orders, settled, stopping, is_fresh: true });
        Ok(())
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        let (reply, outcome) = oneshot::channel();
        let is_fresh =
            self.thread.as_mut().is_some_and(|thread| std::mem::take(&mut thread.is_fresh));
        if let Some(place) = self.place.filter(|place| is_fresh && place.entry == load.entry) {
            load.go_back_to(place.record);
        }
        let first = load.first();
        let encoded = std::mem::take(&mut load.encoded);
        let order = Order::Send { encoded, first, entry: load.entry, reply };
        self.order(order).await?;
        let Ok(outcome) = outcome.await else { return Err(dead()) };
        load.encoded = outcome.encoded;
        self.is_kept = outcome.is_asking;
        self.place = outcome.result.is_err().then_some(outcome.place);
        load.advance(outcome.done);
        outcome.result
    }

    async fn settled(&mut self) -> Result<u64, Failure> {
        let Some(thread) = &mut self.thread else { return std::future::pending().await };
        match thread.settled.changed().await {
            Ok(()) => Ok(*thread.settled.borrow_and_update()),
            Err(_) => Err(dead()),
        }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        let (reply, done) = oneshot::channel();
        self.order(Order::Tick { is_last: true, reply }).await?;
        match done.await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => {
                self.is_kept = true;
                Err(Failure::Retry(anyhow!("the script holds messages back")))
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(dead()),
        }
    }

    async fn tick(&mut self) -> Result<(), Failure> {
        let (reply, done) = oneshot::channel();
        self.order(Order::Tick { is_last: false, reply }).await?;
        let done = done.await.map_err(|_| dead()).and_then(|done| done);
        self.is_kept &= done.is_ok();
        done.map(|_| ())
    }

    fn keeps_held(&self) -> bool {
        self.is_kept
    }

    async fn close(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.is_kept {
            self.handover.give(Left::Thread(thread, self.place));
            return;
        }
        thread.stopping.store(true, Ordering::Release);
        if let Some(place) = self.place {
            self.handover.give(Left::Fresh(place));
        }
    }
}

fn dead() -> Failure {
    Failure::Retry(anyhow!("the script's thread has died"))
}

impl SandboxOutput {
    async fn order(&self, order: Order) -> Result<(), Failure> {
        match &self.thread {
            Some(thread) => thread.orders.send(order).await.map_err(|_| dead()),
            None => Err(Failure::Retry(anyhow!("the script is not loaded"))),
        }
    }
}

/// What is not certain yet, in order.
#[derive(Debug, Default)]
struct Ledger {
    items: VecDeque<Item>,
    /// Messages that are not done.
    open: usize,
}

#[derive(Debug)]
enum Item {
    Message {
        sequence: u64,
        is_done: bool,
    },
    /// All before it belongs to this entry or one before.
    Entry(u64),
}

impl Ledger {
    fn hold(&mut self, sequence: u64) {
        self.items.push_back(Item::Message { sequence, is_done: false });
        self.open += 1;
    }

    fn settle_all(&mut self) {
        for item in &mut self.items {
            if let Item::Message { is_done, .. } = item {
                *is_done = true;
            }
        }
        self.open = 0;
    }

    fn settle(&mut self, wanted: u64) {
        for item in &mut self.items {
            match item {
                Item::Message { sequence, is_done } if *sequence == wanted && !*is_done => {
                    *is_done = true;
                    self.open -= 1;
                    return;
                }
                _ => {}
            }
        }
    }

    /// The entry up to which all is done, where that is further than before.
    fn reached(&mut self) -> Option<u64> {
        let mut reached = None;
        loop {
            match self.items.front() {
                Some(Item::Entry(entry)) => reached = Some(*entry),
                Some(Item::Message { is_done: true, .. }) => {}
                _ => return reached,
            }
            self.items.pop_front();
        }
    }
}

/// The thread a script runs on.
struct ScriptThread {
    sandbox: Sandbox,
    name: String,
    is_framed: bool,
    ledger: Ledger,
    sequence: u64,
    settled: watch::Sender<u64>,
    has_ended: bool,
    /// Whether the script waits for the message that it asked for again.
    is_asking: bool,
    /// How far the load that was sent last is certain.
    place: Place,
}

impl ScriptThread {
    fn new(
        spec: &Spec,
        is_framed: bool,
        settled: watch::Sender<u64>,
    ) -> anyhow::Result<ScriptThread> {
        Ok(ScriptThread {
            sandbox: Sandbox::load(spec).context("cannot load the script")?,
            name: spec.name.clone(),
            is_framed,
            ledger: Ledger::default(),
            sequence: 0,
            settled,
            has_ended: false,
            is_asking: false,
            place: Place { entry: 0, record: 0 },
        })
    }

    fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        while let Some(order) = orders.blocking_recv() {
            match order {
                Order::Send { encoded, first, entry, reply } => {
                    self.is_asking = false;
                    let (done, result) = self.send(&encoded, first, entry);
                    let is_asking = self.is_asking;
                    let place = self.place;
                    let _ = reply.send(Outcome { encoded, done, place, is_asking, result });
                }
                Order::Tick { is_last, reply } => {
                    let _ = reply.send(self.tick(is_last));
                }
            }
        }
        // The script is told once that it ends, also where it holds nothing.
        if !self.has_ended {
            let _ = self.tick(true);
        }
    }

    /// Sends the records from `first` on: how many are done with, and how it ended.
    fn send(
        &mut self,
        encoded: &Encoded,
        first: usize,
        entry: u64,
    ) -> (usize, Result<Sent, Failure>) {
        if self.place.entry != entry || self.ledger.open == 0 {
            self.place = Place { entry, record: first };
        }
        for index in first..encoded.len() {
            if let Err(failure) = self.send_one(encoded.record(index)) {
                return (index - first, Err(failure));
            }
            if self.ledger.open == 0 {
                self.place.record = index + 1;
            }
        }
        let all = encoded.len() - first;
        self.ledger.items.push_back(Item::Entry(entry));
        let reached = self.ledger.reached();
        if reached == Some(entry) {
            return (all, Ok(Sent::Done));
        }
        if let Some(reached) = reached {
            let _ = self.settled.send(reached);
        }
        (all, Ok(Sent::Held))
    }

    fn send_one(&mut self, record: &[u8]) -> Result<(), Failure> {
        let bytes = match frame::step(record, usize::MAX) {
            Step::Frame { message, .. } if self.is_framed => message,
            _ => record,
        };
        let header = Header::locate(bytes).map_err(|error| Failure::Reject(error.into()))?;
        let sequence = self.sequence;
        self.sequence += 1;
        let verdict = self.sandbox.send(&Message::new(bytes, &header), sequence);
        match verdict {
            Ok(Verdict::Sent) => self.ledger.settle_all(),
            Ok(Verdict::Skipped) => {}
            Ok(Verdict::Gathered | Verdict::UnderWay) => self.ledger.hold(sequence),
            Ok(Verdict::Retry) => {
                self.is_asking = true;
                self.sequence = sequence;
                self.note_settled();
                return Err(Failure::Retry(anyhow!("the script asks for the message again")));
            }
            Err(trouble) => return Err(Self::failure(trouble)),
        }
        self.note_settled();
        Ok(())
    }

    fn note_settled(&mut self) {
        let settled = self.sandbox.settled();
        if settled.all {
            self.ledger.settle_all();
        }
        for sequence in settled.sequences {
            self.ledger.settle(sequence);
        }
        if settled.failures > 0 {
            let (output, failures) = (&*self.name, settled.failures);
            tracing::warn!(output, failures, "a script could not send messages");
        }
    }

    /// Calls `timer_event`; tells whether nothing is held any more.
    fn tick(&mut self, is_last: bool) -> Result<bool, Failure> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let ns = i64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(i64::MAX);
        if is_last && self.ledger.open == 0 && !self.has_ended {
            // Called before each stop and after each load that is done: there is nothing to do.
            return Ok(true);
        }
        self.has_ended |= is_last;
        if let Err(trouble) = self.sandbox.tick(ns, is_last) {
            return Err(Self::failure(trouble));
        }
        self.note_settled();
        if let Some(reached) = self.ledger.reached() {
            let _ = self.settled.send(reached);
        }
        Ok(self.ledger.open == 0)
    }

    fn failure(trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Failed(failure) => Failure::Reject(match failure.status {
                Some(status) => anyhow!("the script returned {status}: {}", failure.message),
                None => anyhow!("{}", failure.message).context(failure.traceback),
            }),
            Trouble::Stopped(Stop::Terminated { reason, .. }) => {
                Failure::Stop(anyhow!("the script has ended itself: {reason}"))
            }
            Trouble::Stopped(Stop::Limit { message, .. }) => Failure::Retry(anyhow!(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Batch;
    use crate::outputs::testing;

    async fn open(script: &str) -> SandboxOutput {
        let folder = tempfile::tempdir().unwrap().keep();
        let path = folder.join("script.lua");
        std::fs::write(&path, script).unwrap();
        let text = format!("filename = '{}'", path.display());
        let mut output: SandboxOutput = toml::from_str(&text).unwrap();
        let mut context = testing::context("lua");
        context.has_messages = true;
        output.open(&context).await.unwrap();
        output
    }

    fn load(payloads: &[&str], entry: u64) -> Load {
        let mut batch = Batch::new();
        for payload in payloads {
            let mut builder = batch.begin();
            builder.payload(payload.as_bytes()).integer("n", "", 7);
            builder.finish().unwrap();
        }
        let mut encoded = Encoded::default();
        for message in batch.iter() {
            encoded.bytes.extend_from_slice(message.bytes());
            encoded.close_record();
        }
        Load::new(encoded, entry)
    }

    #[tokio::test]
    async fn each_message_is_judged() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out");
        let mut output = open(&format!(
            "local out = io.open('{}', 'w') out:setvbuf('no')
             local seven = create_message_matcher('Fields[n] == 7')
             function process_message(sequence, msg)
               local text = read_message('Payload')
               if text == 'bad' then return -1, 'no good' end
               if text == 'throw' then error('it threw') end
               if text == 'skip' then return -2 end
               if text == 'again' then return -3 end
               if text == 'end' then return 1, 'enough' end
               assert(msg.Payload == text and seven:eval())
               out:write(sequence, ' ', text, '\\n')
               assert(decode_message(encode_message({{Payload = text}})).Logger == 'lua')
               return 0
             end",
            file.display()
        ))
        .await;
        assert_eq!(output.send(&mut load(&["a", "skip", "b"], 1)).await.unwrap(), Sent::Done);
        let mut mixed = load(&["c", "bad", "throw", "again", "end"], 2);
        for (expected, done) in [("no good", 1), ("it threw", 2), ("again", 3)] {
            let failure = output.send(&mut mixed).await.unwrap_err();
            let (Failure::Reject(error) | Failure::Retry(error) | Failure::Stop(error)) = failure;
            assert!(format!("{error:#}").contains(expected), "{error:#}");
            assert_eq!(mixed.first(), done);
            mixed.advance(1);
        }
        assert!(matches!(output.send(&mut mixed).await, Err(Failure::Stop(_))));
        assert_eq!(std::fs::read_to_string(file).unwrap(), "0 a\n2 b\n3 c\n");
    }

    #[tokio::test]
    async fn gathered_messages_are_certain_when_the_script_says_so() {
        let mut output = open(
            "local n = 0
             function process_message()
               n = n + 1
               if n == 3 then return 0 end
               return -4
             end
             function timer_event(ns, shutdown) update_checkpoint() end",
        )
        .await;
        assert_eq!(output.send(&mut load(&["a", "b"], 5)).await.unwrap(), Sent::Held);
        assert_eq!(output.send(&mut load(&["c"], 6)).await.unwrap(), Sent::Done);
        assert_eq!(output.send(&mut load(&["d"], 7)).await.unwrap(), Sent::Held);
        output.tick().await.unwrap();
        assert_eq!(output.settled().await.unwrap(), 7);
        assert_eq!(output.send(&mut load(&["e"], 8)).await.unwrap(), Sent::Held);
        output.flush().await.unwrap();
    }

    #[tokio::test]
    async fn messages_under_way_are_certain_in_order() {
        let mut output = open(
            "local last
             function process_message(sequence)
               if last then update_checkpoint(last) end
               if sequence > 0 then last = sequence - (sequence % 2 == 0 and 2 or 0) end
               return -5
             end",
        )
        .await;
        // Done are: 1 while 2 is sent, 0 while 3 is sent.
        assert_eq!(output.send(&mut load(&["0", "1"], 1)).await.unwrap(), Sent::Held);
        assert_eq!(output.send(&mut load(&["2"], 2)).await.unwrap(), Sent::Held);
        assert_eq!(output.send(&mut load(&["3"], 3)).await.unwrap(), Sent::Held);
        assert_eq!(output.settled().await.unwrap(), 1);
        assert!(matches!(output.flush().await, Err(Failure::Retry(_))));
    }

    #[tokio::test]
    async fn a_script_that_asks_again_keeps_what_it_has() {
        let mut context = testing::context("lua");
        context.has_messages = true;
        let mut output = open(
            "local asked, first = 0, nil
             function process_message(sequence)
               if sequence < 2 then return -4 end
               first = first or sequence
               assert(sequence == first)
               asked = asked + 1
               if asked < 3 then return -3 end
               return 0
             end",
        )
        .await;
        output.handover = context.handover.clone();
        assert_eq!(output.send(&mut load(&["a"], 1)).await.unwrap(), Sent::Held);
        let mut second = load(&["b", "c"], 2);
        for _ in 0..2 {
            assert!(matches!(output.send(&mut second).await, Err(Failure::Retry(_))));
            assert_eq!((second.first(), output.keeps_held()), (1, true));
            output.close().await;
            output.open(&context).await.unwrap();
        }
        assert_eq!(output.send(&mut second).await.unwrap(), Sent::Done);
        assert!(!output.keeps_held());
    }

    #[tokio::test]
    async fn after_a_limit_what_was_gathered_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let script = format!(
            "local out = io.open('{path}/out', 'a') out:setvbuf('no')
             function process_message()
               local text = read_message('Payload')
               out:write(text, ' ')
               if text == 'bad' then return -1, 'no good' end
               if text == 'again' then return -3 end
               if text == 'full' and not io.open('{path}/full') then
                 io.open('{path}/full', 'w'):close()
                 return #string.rep('x', 2 ^ 29)
               end
               return text == 'done' and 0 or -4
             end
             function timer_event() string.rep('x', 2 ^ 29) end"
        );
        let mut context = testing::context("lua");
        context.has_messages = true;
        let mut output = open(&script).await;
        output.handover = context.handover.clone();
        let mut mixed = load(&["done", "a", "bad", "full", "b"], 3);
        assert!(matches!(output.send(&mut mixed).await, Err(Failure::Reject(_))));
        assert_eq!(mixed.first(), 2);
        mixed.advance(1);
        assert!(matches!(output.send(&mut mixed).await, Err(Failure::Retry(_))));
        assert!(!output.keeps_held());
        output.close().await;
        output.open(&context).await.unwrap();
        assert!(matches!(output.send(&mut mixed).await, Err(Failure::Reject(_))));
        mixed.advance(1);
        assert_eq!(output.send(&mut mixed).await.unwrap(), Sent::Held);
        let written = || std::fs::read_to_string(folder.path().join("out")).unwrap();
        assert_eq!(written(), "done a bad full a bad full b ");

        // A limit in a tick, while the script waits for a message that it asked for again.
        let mut waiting = load(&["c", "again"], 4);
        assert!(matches!(output.send(&mut waiting).await, Err(Failure::Retry(_))));
        assert!(output.keeps_held());
        assert!(output.tick().await.is_err());
        assert!(!output.keeps_held());
        output.close().await;
        output.open(&context).await.unwrap();
        assert!(matches!(output.send(&mut waiting).await, Err(Failure::Retry(_))));
        assert!(written().ends_with("b c again c again "));
    }
}
