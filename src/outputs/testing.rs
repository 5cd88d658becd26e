//! What the tests of outputs lend them.

use std::sync::Arc;

use crate::message::Batch;
use crate::message::Builder;
use crate::plugin::Carried;
use crate::plugin::Encoded;
use crate::plugin::Engine;
use crate::plugin::Handover;
use crate::plugin::Load;
use crate::plugin::LoadOrigin;
use crate::plugin::OutputContext;
use crate::plugin::Reached;

/// An engine with nothing in it.
pub(super) fn engine() -> Engine {
    Engine {
        hostname: Arc::from("host"),
        pid: 42,
        base_dir: std::path::PathBuf::new(),
        share_dir: std::path::PathBuf::new(),
        max_message_size: 65536,
        max_message_loops: 4,
        max_process_inject: 1,
        max_timer_inject: 10,
        memory: Arc::default(),
        metrics: Arc::default(),
    }
}

/// The context of an output called `name`.
pub(super) fn context(name: &str) -> OutputContext {
    OutputContext {
        name: Arc::from(name),
        engine: engine(),
        is_framed: false,
        has_messages: false,
        journal: Some([7; 16]),
        journal_id: [7; 16],
        runs: Arc::from([1]),
        reached: Arc::new(Reached { claimed: u64::MAX.into(), ..Reached::default() }),
        handover: Handover::default(),
    }
}

/// A load of these records.
pub(super) fn load(records: &[&[u8]]) -> Load {
    let mut encoded = Encoded::default();
    for record in records {
        encoded.bytes.extend_from_slice(record);
        encoded.close_record();
    }
    Load::new(encoded, 1)
}

/// A load of the lines of `text`.
pub(super) fn lines(text: &str) -> Load {
    load(&text.split_inclusive('\n').map(str::as_bytes).collect::<Vec<_>>())
}

/// A batch that a test has made.
#[derive(Debug)]
struct Made(Batch);

impl Carried for Made {
    fn batch(&self) -> &Batch {
        &self.0
    }

    fn entry(&self) -> u64 {
        1
    }
}

/// The messages of a load, made by `write`, which is told the number of each.
pub(super) fn made(count: u16, write: impl Fn(u16, &mut Builder<'_>)) -> Vec<LoadOrigin> {
    let mut batch = Batch::new();
    for number in 0..count {
        let mut builder = batch.begin();
        write(number, &mut builder);
        builder.finish().unwrap();
    }
    let carried: Arc<dyn Carried> = Arc::new(Made(batch));
    (0..count).map(|number| (carried.clone(), number)).collect()
}

/// Messages of these types, each with the field `h` where it has one.
pub(super) fn messages(types: &[(&str, Option<&str>)]) -> Vec<LoadOrigin> {
    made(u16::try_from(types.len()).unwrap(), |number, builder| {
        let (message_type, host) = types[usize::from(number)];
        builder.message_type(message_type.as_bytes());
        if let Some(host) = host {
            builder.string("h", "", host.as_bytes());
        }
    })
}
