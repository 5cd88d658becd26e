//! Makes a sandbox: state, API, script.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ffi::CString;
use std::path::Path;
use std::path::PathBuf;

use chrono_tz::Tz;

use super::Sandbox;
use super::api;
use super::context::Context;
use super::failure::Error;
use super::raw::Baseline;
use super::raw::Entry;
use super::raw::Raised;
use super::raw::State;
use super::snapshot::Version;
use super::spec::ConfigValue;
use super::spec::Limits;
use super::spec::Spec;
use super::vararg;
use super::watchdog::Watch;

/// Loading may take this much of the CPU limit of a call.
pub(super) const LOAD_FACTOR: u32 = 20;

impl Sandbox {
    /// Makes a state and runs the script in it once.
    ///
    /// # Errors
    /// When the script does not compile, fails while it is loaded, or lacks `process_message`.
    pub fn load(spec: &Spec) -> Result<Sandbox, Error> {
        let failed = |raised: Raised| located(&spec.script.path, raised.text);
        let watch = Watch::of_this_thread();
        let mut state = State::new(Context::new(spec), watch.counters.clone()).map_err(failed)?;
        state.cx().setting.zone = zone(spec)?;
        api::install(&mut state, spec.role).map_err(failed)?;
        state.seal().map_err(failed)?;
        if spec.limits.memory != 0 {
            state.limit_memory(spec.limits.memory.max(Limits::MIN_MEMORY));
        }
        let chunk = chunk_name(&spec.script.path);
        {
            let _watched =
                watch.watch(state.interrupt(), spec.limits.cpu.saturating_mul(LOAD_FACTOR));
            state.run(&chunk, &script_text(&spec.script.text)).map_err(failed)?;
        }
        if !state.has_entry(Entry::ProcessMessage) {
            return Err(Error {
                file: spec.script.path.clone(),
                line: None,
                message: "process_message() function was not found".to_owned(),
            });
        }
        let has_timer = state.has_entry(Entry::TimerEvent);
        state.cx().patterns.end_loading();
        let baseline = state.save(&Baseline::new()).map_err(failed)?.scalars;
        Ok(Sandbox {
            ending: OnceCell::new(),
            state,
            watch,
            watched: None,
            limits: spec.limits,
            has_timer,
            file: spec.script.path.clone(),
            version: Version::of(spec),
            baseline,
        })
    }
}

/// The zone a decoder's timestamps are in, by its configuration.
fn zone(spec: &Spec) -> Result<Option<Tz>, Error> {
    match spec.config.get("tz") {
        Some(ConfigValue::String(name)) if !name.is_empty() => {
            name.parse().map(Some).map_err(|_| Error {
                file: spec.script.path.clone(),
                line: None,
                message: format!("tz names no time zone: {name:?}"),
            })
        }
        _ => Ok(None),
    }
}

/// The name by which Lua calls the script in its messages: its path as it is.
pub(super) fn chunk_name(path: &Path) -> CString {
    let mut name = b"=".to_vec();
    name.extend(path.to_string_lossy().bytes().filter(|byte| *byte != 0));
    CString::new(name).unwrap_or_default()
}

/// The script as it is compiled: without a first line that is for the shell, and with the tables of
/// further arguments that Lua 5.1 has. Every line stays where it is, so that numbers in messages are
/// right.
pub(super) fn script_text(text: &str) -> Cow<'_, [u8]> {
    let text = match text.strip_prefix("#!") {
        Some(rest) => rest.find('\n').map_or("", |end| &rest[end..]),
        None => text,
    };
    match vararg::with_tables(text) {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// Splits `path:12: what is wrong` into its parts.
fn located(script: &Path, text: String) -> Error {
    let parts = || {
        let (place, message) = text.split_once(": ")?;
        let (file, line) = place.rsplit_once(':')?;
        Some((PathBuf::from(file), line.parse().ok()?, message.to_owned()))
    };
    match parts() {
        Some((file, line, message)) => Error { file, line: Some(line), message },
        None => Error { file: script.to_owned(), line: None, message: text },
    }
}
