//! What host functions work on: one for each state.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::hash::BuildHasher;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use chrono_tz::Tz;

use super::failure::Usage;
use super::feed::Pending;
use super::feed::Settled;
use super::files::Standard;
use super::json::Style;
use super::pattern::Patterns;
use super::raw::Complaint;
use super::raw::Loan;
use super::raw::Object;
use super::raw::Tape;
use super::spec::Access;
use super::spec::ConfigValue;
use super::spec::EntryTime;
use super::spec::Limits;
use super::spec::Modules;
use super::spec::OwnMatcher;
use super::spec::Role;
use super::spec::Spec;
use crate::message::ArrayBuilder;
use crate::message::Draft;
use crate::message::Uuids;
use crate::stdx::random::Random;

/// The host's side of a state.
#[derive(Debug)]
pub(super) struct Context {
    /// What the running call was lent.
    pub(super) loan: Loan,
    /// What does not change while the script is loaded.
    pub(super) setting: Setting,
    /// What belongs to the running call.
    pub(super) call: Call,
    /// The entry being read.
    pub(super) now: EntryTime,
    pub(super) usage: Usage,
    /// The number under which `msg.Fields` is kept.
    pub(super) fields: i32,
    pub(super) tape: Tape,
    pub(super) json: Style,
    pub(super) standard: Standard,
    pub(super) scratch: Vec<u8>,
    pub(super) values: ArrayBuilder,
    pub(super) uuids: Uuids,
    /// The host functions called, by their addresses.
    #[cfg(test)]
    pub(super) called: std::collections::BTreeSet<usize>,
    /// Makes this one panic.
    #[cfg(test)]
    pub(super) panics_at: Option<usize>,
    parked: Option<Box<dyn Object>>,
    complaint: String,
    traceback: String,
    /// What an input has injected and not yet handed over.
    pub(super) pending: Pending,
    /// What an output has said of messages that were not certain.
    pub(super) settled: Settled,
    /// The generator behind `math.random`.
    pub(super) random: Random,
    pub(super) patterns: Patterns,
    /// The module `require` is about to run: its name for messages, and its code.
    pub(super) module: (CString, Arc<[u8]>),
}

/// What a script was loaded with.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) limits: Limits,
    pub(super) hostname: String,
    pub(super) pid: i32,
    pub(super) config: BTreeMap<String, ConfigValue>,
    pub(super) modules: Modules,
    pub(super) own_matcher: Refusal,
    /// The zone that a decoder's timestamps are in.
    pub(super) zone: Option<Tz>,
    pub(super) access: Access,
    pub(super) restricts_headers: bool,
    /// Whether the lines that run are counted.
    pub(super) is_covered: bool,
    /// Set when the script is to end.
    pub(super) stopping: Arc<AtomicBool>,
}

/// The filter's own matcher, if injections are to be held against it.
#[derive(Default)]
pub(super) struct Refusal(pub(super) Option<OwnMatcher>);

impl std::fmt::Debug for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Refusal").field(&self.0.is_some()).finish()
    }
}

/// What belongs to one call.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// How many messages it may inject.
    pub(super) max_inject: u32,
    pub(super) injected: u32,
    /// How often the message it is about was injected.
    pub(super) loops: u8,
    /// The number of that message in its entry; `u32::MAX` in a timer event.
    pub(super) message: u32,
    /// What `add_to_payload` has gathered.
    pub(super) payload: Vec<u8>,
    /// How many fields `read_next_field` has read.
    pub(super) fields_read: usize,
    /// What an encoder has made.
    pub(super) output: Vec<u8>,
    pub(super) has_output: bool,
    /// An encoder's own copy of the message.
    pub(super) copy: Draft,
    /// Whether it has made one, by writing to the message.
    pub(super) has_copy: bool,
    /// Lines printed.
    pub(super) printed: u32,
    /// Whether a decoder has replaced the message it was given.
    pub(super) has_replaced: bool,
}

impl Context {
    pub(super) fn new(spec: &Spec) -> Context {
        Context {
            loan: Loan::default(),
            setting: Setting {
                name: spec.name.clone(),
                role: spec.role,
                limits: spec.limits,
                hostname: spec.hostname.clone(),
                pid: spec.pid,
                config: spec.config.clone(),
                modules: spec.modules.clone(),
                own_matcher: Refusal(spec.own_matcher.clone()),
                zone: None,
                access: spec.access,
                restricts_headers: spec.restricts_headers,
                is_covered: spec.is_covered,
                stopping: spec.stopping.clone(),
            },
            call: Call::default(),
            now: spec.now,
            usage: Usage::default(),
            fields: 0,
            tape: Tape::default(),
            json: Style::default(),
            standard: Standard::default(),
            scratch: Vec::new(),
            values: ArrayBuilder::default(),
            uuids: Uuids::default(),
            #[cfg(test)]
            called: std::collections::BTreeSet::new(),
            #[cfg(test)]
            panics_at: None,
            parked: None,
            complaint: String::new(),
            traceback: String::new(),
            pending: Pending::default(),
            settled: Settled::default(),
            random: Random::seeded(seed(spec)),
            patterns: Patterns::default(),
            module: (CString::default(), Arc::default()),
        }
    }

    /// Begins a call about message number `message` of the entry.
    pub(super) fn begin_call(&mut self, message: u32, loops: u8, max_inject: u32) {
        let call = &mut self.call;
        call.max_inject = max_inject;
        call.injected = 0;
        call.loops = loops;
        call.message = message;
        call.payload.clear();
        call.fields_read = 0;
        call.has_output = false;
        call.has_copy = false;
        call.has_replaced = false;
        call.printed = 0;
    }

    /// The message that the call may change: the decoder's record, the encoder's copy.
    pub(super) fn writable(&mut self) -> Option<&mut Draft> {
        let Context { loan, call, .. } = self;
        if self.setting.role == Role::Encoder {
            if !call.has_copy {
                call.copy.copy_from(&loan.message()?);
                call.has_copy = true;
            }
            return Some(&mut call.copy);
        }
        loan.draft_mut()
    }

    /// Tells whether the script of an input or output may go on.
    pub(super) fn is_running(&self) -> bool {
        !self.setting.stopping.load(Ordering::Acquire)
    }

    /// The message that the call may change, if it is to be read from.
    pub(super) fn changed(&self) -> Option<&Draft> {
        if self.call.has_copy { Some(&self.call.copy) } else { self.loan.draft() }
    }

    /// The time scripts of this family see: filters that of the entry, all others the clock's.
    pub(super) fn time_ns(&self) -> i64 {
        if self.setting.role == Role::Filter { self.now.ns } else { wall_clock_ns() }
    }

    /// Puts a native object where it is taken from when the host function has returned.
    pub(super) fn park(&mut self, object: Box<dyn Object>) {
        self.parked = Some(object);
    }

    pub(super) fn parked(&mut self) -> &mut Option<Box<dyn Object>> {
        &mut self.parked
    }

    pub(super) fn tape(&self) -> &Tape {
        &self.tape
    }

    pub(super) fn complain(&mut self, complaint: Complaint) {
        self.complaint.clear();
        match complaint {
            Complaint::Static(text) => self.complaint.push_str(text),
            Complaint::Text(text) => self.complaint.push_str(&text),
        }
    }

    pub(super) fn complaint(&self) -> &str {
        &self.complaint
    }

    pub(super) fn traceback(&mut self) -> &mut String {
        &mut self.traceback
    }
}

/// The seed of a script's random numbers: that of a filter depends on its name alone.
fn seed(spec: &Spec) -> u64 {
    if spec.role != Role::Filter {
        return std::hash::RandomState::new().build_hasher().finish();
    }
    // FNV-1a, which stays the same from build to build.
    spec.name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The wall clock, in nanoseconds since the epoch.
pub(super) fn wall_clock_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
