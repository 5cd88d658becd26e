//! What a call of a filter costs: CPU nanoseconds a message, over batches of 256, best of 15 runs.
//!
//! `cargo bench --bench sandbox`

use std::hint::black_box;

use heka::message::Batch;
use heka::sandbox::EntryTime;
use heka::sandbox::Role;
use heka::sandbox::Sandbox;
use heka::sandbox::Script;
use heka::sandbox::Spec;
use nix::time::ClockId;

const BATCHES: usize = 200;

const CASES: &[(&str, &str)] = &[
    ("empty", "function process_message() return 0 end"),
    (
        "read_field_tally",
        "local n = {}
         function process_message()
           local s = read_message('Fields[status]')
           n[s] = (n[s] or 0) + 1
           return 0
         end",
    ),
    (
        "msg_field_tally",
        "local n = {}
         function process_message(msg)
           local s = msg.Fields.status
           n[s] = (n[s] or 0) + 1
           return 0
         end",
    ),
    (
        "three_reads",
        "local n = {}
         function process_message()
           local s = read_message('Fields[status]')
           local t = read_message('Timestamp')
           local p = read_message('Payload')
           n[s] = (n[s] or 0) + #p
           return 0
         end",
    ),
    (
        "circular_buffer",
        "require 'circular_buffer'
         local cb = circular_buffer.new(1440, 6, 60)
         function process_message()
           local ts = read_message('Timestamp')
           local col = math.floor(read_message('Fields[status]') / 100)
           cb:add(ts, col, 1)
           return 0
         end",
    ),
    (
        "inject_each",
        "function process_message()
           inject_message({Type = 't', Fields = {a = 1, b = 'x'}})
           return 0
         end",
    ),
];

fn cpu_ns() -> u128 {
    let now = ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("every thread has such a clock");
    std::time::Duration::from(now).as_nanos()
}

fn batch() -> Batch {
    let mut batch = Batch::new();
    for index in 0..Batch::MAX_MESSAGES {
        let mut out = batch.begin();
        out.uuid(&[7; 16])
            .timestamp(1_700_000_000_000_000_000 + i64::try_from(index).unwrap_or(0) * 1_000_000)
            .message_type(b"nginx.access")
            .logger(b"nginx")
            .payload(&[b'x'; 150])
            .hostname(b"web1");
        out.string("remote_addr", "ipv4", b"192.0.2.1")
            .string("request", "", b"GET /index.html HTTP/1.1")
            .integer("status", "", 200 + i64::try_from(index % 5).unwrap_or(0) * 100)
            .integer("body_bytes_sent", "B", 1234)
            .double("request_time", "s", 0.25);
        out.finish().expect("a small message fits");
    }
    batch
}

/// What a state costs that does nothing: memory, and the time to make it.
fn idle() {
    const STATES: usize = 50;
    let script =
        Script { path: "idle.lua".into(), text: "function process_message() return 0 end".into() };
    let spec = Spec::new("idle", Role::Filter, script);
    let began = cpu_ns();
    let mut states: Vec<Sandbox> =
        (0..STATES).map(|_| Sandbox::load(&spec).expect("the script is sound")).collect();
    let each = (cpu_ns() - began) / STATES as u128 / 1000;
    let held: usize = states.iter_mut().map(|state| state.usage().memory).sum();
    println!("{:20} {:>5} KiB, made in {each} us", "idle state", held / STATES / 1024);
    let state = states.first_mut().expect("there are some");
    let began = cpu_ns();
    let bytes = state.snapshot().expect("there is memory").len();
    println!("{:20} {:>5} us, {bytes} bytes", "empty snapshot", (cpu_ns() - began) / 1000);
}

fn main() {
    idle();
    let batch = batch();
    let matched: Vec<u16> = (0..u16::try_from(batch.len()).unwrap_or(0)).collect();
    for (name, text) in CASES {
        let script = Script { path: "bench.lua".into(), text: (*text).to_owned() };
        let mut spec = Spec::new(name, Role::Filter, script);
        "host".clone_into(&mut spec.hostname);
        let mut sandbox = match Sandbox::load(&spec) {
            Ok(sandbox) => sandbox,
            Err(error) => {
                println!("{name:20} {error}");
                continue;
            }
        };
        let mut best = u128::MAX;
        let mut out = Batch::new();
        for _ in 0..15 {
            let began = cpu_ns();
            for _ in 0..BATCHES {
                out.truncate(0);
                let now = EntryTime::default();
                let done = sandbox.process(&batch, &matched, now, &mut out, &mut |failure| {
                    panic!("{failure:?}");
                });
                assert_eq!(done.done, matched.len(), "{done:?}");
                black_box(&out);
            }
            best = best.min((cpu_ns() - began) / (BATCHES * matched.len()) as u128);
        }
        println!("{name:20} {best:>5} ns a message");
    }
}
