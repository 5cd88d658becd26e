//! What the fuzz targets have in common: decoders that are started, scripts that are run, and
//! folders for what wants files.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use heka::catalog::CATALOG;
use heka::message::Batch;
use heka::message::Marks;
use heka::metrics::Registry;
use heka::plugin::DecoderContext;
use heka::plugin::Decoding;
use heka::plugin::Engine;
use heka::plugin::Form;
use heka::plugin::Origin;
use heka::plugin::Record;
use heka::sandbox::EntryTime;
use heka::sandbox::Role;
use heka::sandbox::Sandbox;
use heka::sandbox::Script;
use heka::sandbox::Spec;

/// What plugins are told of the engine.
#[must_use]
pub fn engine() -> Engine {
    Engine {
        hostname: Arc::from("host"),
        pid: 1,
        base_dir: PathBuf::new(),
        share_dir: PathBuf::new(),
        max_message_size: 65_536,
        max_message_loops: 4,
        max_process_inject: 1,
        max_timer_inject: 10,
        metrics: Arc::new(Registry::default()),
        memory: Arc::default(),
    }
}

/// Starts the decoder `kind` with these settings.
///
/// # Errors
/// When the settings cannot be read or cannot work.
pub fn start(kind: &str, settings: &str) -> Result<Box<dyn Decoding>, String> {
    let engine = engine();
    let row = CATALOG.decoders.iter().find(|row| row.name == kind).ok_or("no such decoder")?;
    let settings = toml::Deserializer::parse(settings).map_err(|error| error.to_string())?;
    let decoder = (row.read)(settings).map_err(|error| error.to_string())?;
    let none = |_: &str| anyhow::bail!("no other decoders here");
    let cx = DecoderContext { name: kind, engine: &engine, decoder: &none };
    decoder.start(&cx).map_err(|error| format!("{error:#}"))
}

/// Decodes a record; every message that comes of it must be sound.
///
/// # Errors
/// When the decoder refuses the record.
///
/// # Panics
/// When a message cannot be read.
pub fn decode(decoding: &mut dyn Decoding, bytes: &[u8]) -> Result<Batch, String> {
    let mut origin = Origin::default();
    origin.message_type = b"logfile".to_vec();
    origin.logger = b"log".to_vec();
    origin.hostname = b"host".to_vec();
    let (form, marks) = (Form::Payload, Marks::default());
    let now = 1_795_361_600_000_000_000;
    let record = Record { bytes, form, origin: &origin, now, uuid: [7; 16], marks };
    let mut batch = Batch::new();
    decoding.decode(&record, &mut batch).map_err(|error| format!("{error:#}"))?;
    check(&batch);
    Ok(batch)
}

/// Sees to it that what was written can be read.
///
/// # Panics
/// When it cannot.
pub fn check(batch: &Batch) {
    for message in batch.iter() {
        for field in message.fields() {
            let _ = (field.name(), field.values().count());
        }
    }
    let again = Batch::from_frames(batch.bytes().to_vec()).expect("what was written can be read");
    assert_eq!(again.len(), batch.len());
}

/// Loads the script of a filter.
///
/// # Panics
/// When it cannot be loaded.
pub fn filter(text: &str) -> Sandbox {
    let script = Script { path: "fuzz.lua".into(), text: text.to_owned() };
    let mut spec = Spec::new("fuzz", Role::Filter, script);
    spec.limits.output = 1 << 20;
    Sandbox::load(&spec).expect("the script is sound")
}

/// Hands a filter one message with this payload; gives the payload of what it injects.
///
/// # Errors
/// When the call fails or exceeds a limit.
pub fn run(sandbox: &mut Sandbox, payload: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut batch = Batch::new();
    let mut message = batch.begin();
    message.uuid(&[7; 16]).timestamp(1).payload(payload);
    message.finish().map_err(|error| error.to_string())?;
    let (mut out, mut failed) = (Batch::new(), None);
    let done = sandbox.process(&batch, &[0], EntryTime::default(), &mut out, &mut |failure| {
        failed = Some(failure.message);
    });
    match (failed, done.stop) {
        (Some(failed), _) => Err(failed),
        (None, Some(stop)) => Err(format!("{stop:?}")),
        (None, None) => Ok(out.iter().next().map(|message| message.payload().to_vec())),
    }
}

/// A folder in memory, where there is one.
///
/// # Panics
/// When none can be made.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder can be made")
}
