//! What the tests of outputs lend them.

use std::sync::Arc;

use crate::plugin::Encoded;
use crate::plugin::Engine;
use crate::plugin::Load;
use crate::plugin::OutputContext;

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
