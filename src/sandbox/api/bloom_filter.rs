//! `bloom_filter`: a set that may be wrong when it says yes.

use std::any::Any;

use crate::analysis::bloom_filter::BloomFilter;
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
    name: c"bloom_filter",
    functions: &[(c"new", new), (c"version", version)],
    parts: &[],
    kinds: &[ObjectKind {
        tag: TAG,
        name: c"bloom_filter",
        methods: METHODS,
        metamethods: &[],
        load: |state| Some(Box::new(BloomFilter::load(state)?)),
    }],
};

const TAG: u8 = 10;

const METHODS: &[Named] = &[
    (c"add", add),
    (c"query", query),
    (c"count", count),
    (c"clear", clear),
    (c"fromstring", fromstring),
    (c"state", state),
];

impl Object for BloomFilter {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        BloomFilter::footprint(self)
    }

    fn print(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }

    fn save(&self, out: &mut Vec<u8>) {
        BloomFilter::save(self, out);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        BloomFilter::restore(self, state).map_err(|why| why.to_string())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// `bloom_filter.new(items, probability)`: for so many items, wrong with this probability then.
fn new<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("new", args);
    let items = call.whole(1, "items", 2..=i64::from(u32::MAX))?.cast_unsigned();
    let probability = call.number(2)?;
    if !(probability > 0.0 && probability < 1.0) {
        return Err(call.refused(2, "probability", "between 0 and 1 expected"));
    }
    call.admit(BloomFilter::footprint_of(items, probability))?;
    let filter = BloomFilter::new(items, probability).ok_or("not enough memory")?;
    cx.park(Box::new(filter));
    Ok(Answer::Parked)
}

/// `bloom_filter.version()` → the version of this library.
fn version<'a>(_: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Text(b"1.0.0"))
}

/// `bf:add(key)` → whether it is new.
fn add<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("add", args);
    let key = call.key(1)?;
    Ok(Answer::Bool(call.this::<BloomFilter>()?.add(key.bytes())))
}

/// `bf:query(key)` → whether it is there.
fn query<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("query", args);
    let key = call.key(1)?;
    Ok(Answer::Bool(call.this::<BloomFilter>()?.has(key.bytes())))
}

/// `bf:count()` → how many keys were new.
fn count<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("count", args).this::<BloomFilter>()?;
    Ok(Answer::Number(this.count() as f64))
}

/// `bf:clear()` takes all keys out.
fn clear<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Call::method("clear", args).this::<BloomFilter>()?.clear();
    Ok(Answer::Nothing)
}

/// `bf:fromstring(state)` takes over what a snapshot of another has.
fn fromstring<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("fromstring", args);
    let state = call.text(1)?;
    let result = BloomFilter::restore(&mut *call.this::<BloomFilter>()?, state);
    result.map_err(|why| call.refused(1, "state", why))?;
    Ok(Answer::Nothing)
}

/// `bf:state()` → its state, for `fromstring`.
fn state<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("state", args).this::<BloomFilter>()?;
    if !args.admit(BloomFilter::footprint(&this)) {
        return Err("not enough memory".into());
    }
    cx.scratch.clear();
    BloomFilter::save(&this, &mut cx.scratch);
    Ok(Answer::Text(&cx.scratch))
}
