//! What the tests of filters lend them.

use std::sync::Arc;
use std::time::Duration;

use crate::message::Batch;
use crate::plugin::Engine;
use crate::plugin::Filter;
use crate::plugin::FilterCall;
use crate::plugin::FilterContext;
use crate::plugin::Filtering;

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

/// Starts a filter called `filter`.
pub(super) fn start(filter: &dyn Filter, ticker_interval: Duration) -> Box<dyn Filtering> {
    let engine = engine();
    filter.start(&FilterContext { name: "filter", engine: &engine, ticker_interval }).unwrap()
}

/// Makes a call in an entry of this second, in which nothing may fail; gives what was injected.
pub(super) fn call(second: u64, work: impl FnOnce(&mut FilterCall<'_>)) -> Batch {
    let mut out = Batch::new();
    let time = second * 1_000_000_000;
    work(&mut FilterCall {
        entry: second,
        time: time.cast_signed(),
        engine_time: time,
        out: &mut out,
        on_failure: &mut |failure| panic!("{failure:?}"),
    });
    out
}
