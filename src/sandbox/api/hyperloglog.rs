//! `hyperloglog`: how many different keys there were, about.

use std::any::Any;

use crate::analysis::hyperloglog::HyperLogLog;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;
use crate::sandbox::raw::Named;
use crate::sandbox::raw::Object;
use crate::sandbox::raw::ObjectKind;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"hyperloglog",
    functions: &[(c"new", new), (c"count", count), (c"version", version)],
    parts: &[],
    kinds: &[ObjectKind {
        tag: TAG,
        name: c"hyperloglog",
        methods: METHODS,
        metamethods: &[(c"__tostring", state)],
        load: |state| Some(Box::new(HyperLogLog::load(state)?)),
    }],
};

const TAG: u8 = 13;

const METHODS: &[Named] = &[
    (c"add", add),
    (c"count", count),
    (c"merge", merge),
    (c"clear", clear),
    (c"fromstring", fromstring),
    (c"state", state),
];

impl Object for HyperLogLog {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        HyperLogLog::FOOTPRINT
    }

    fn print(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }

    fn save(&self, out: &mut Vec<u8>) {
        HyperLogLog::save(self, out);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        HyperLogLog::restore(self, state).map_err(|why| why.to_string())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// `hyperloglog.new()`.
fn new<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Call::function("new", args).admit(Some(HyperLogLog::FOOTPRINT))?;
    cx.park(Box::new(HyperLogLog::default()));
    Ok(Answer::Parked)
}

/// `hyperloglog.version()` → the version of this library.
fn version<'a>(_: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Text(b"0.1.0"))
}

/// `hll:add(key)` → whether the estimate changed.
fn add<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("add", args);
    let key = call.key(1)?;
    Ok(Answer::Bool(call.this::<HyperLogLog>()?.add(key.bytes())))
}

/// `hll:count()` → how many different keys there were, within about 0.81 %; with more of them, as in
/// `hyperloglog.count(one, other, ...)`, how many there were in all of them together.
fn count<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("count", args);
    let one = call.object::<HyperLogLog>(1, "hyperloglog")?;
    if call.len() == 1 {
        return Ok(Answer::Number(one.count()));
    }
    call.admit(Some(HyperLogLog::FOOTPRINT))?;
    let mut all = HyperLogLog::clone(&one);
    drop(one);
    for number in 2..=call.len() {
        all.merge(&*call.object::<HyperLogLog>(number, "hyperloglog")?);
    }
    Ok(Answer::Number(all.count()))
}

/// `hll:merge(other)` → hll; takes in what another has counted.
fn merge<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("merge", args);
    let mut this = call.this::<HyperLogLog>()?;
    let other = call.object::<HyperLogLog>(1, "another hyperloglog")?;
    this.merge(&other);
    Ok(Answer::Argument(1))
}

/// `hll:clear()` takes all keys out.
fn clear<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Call::method("clear", args).this::<HyperLogLog>()?.clear();
    Ok(Answer::Nothing)
}

/// `hll:fromstring(state)` takes over what a snapshot of another has.
fn fromstring<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("fromstring", args);
    let state = call.text(1)?;
    let result = HyperLogLog::restore(&mut *call.this::<HyperLogLog>()?, state);
    result.map_err(|why| call.refused(1, "state", why))?;
    Ok(Answer::Nothing)
}

/// `hll:state()` and `tostring(hll)` → its state, for `fromstring`.
fn state<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("state", args).this::<HyperLogLog>()?;
    if !args.admit(HyperLogLog::FOOTPRINT) {
        return Err("not enough memory".into());
    }
    cx.scratch.clear();
    HyperLogLog::save(&this, &mut cx.scratch);
    Ok(Answer::Text(&cx.scratch))
}
