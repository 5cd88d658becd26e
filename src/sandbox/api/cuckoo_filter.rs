//! `cuckoo_filter`: a set that may be wrong when it says yes, and from which keys can be taken.

use std::any::Any;

use crate::analysis::cuckoo_filter::Added;
use crate::analysis::cuckoo_filter::CuckooFilter;
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
    name: c"cuckoo_filter",
    functions: &[(c"new", new), (c"version", version)],
    parts: &[],
    kinds: &[ObjectKind {
        tag: TAG,
        name: c"cuckoo_filter",
        methods: METHODS,
        metamethods: &[],
        load: |state| Some(Box::new(CuckooFilter::load(state)?)),
    }],
};

/// Expiring filters have methods and a tag of their own.
pub(super) const TAG: u8 = 11;
pub(super) const EXPIRING_TAG: u8 = 12;

const METHODS: &[Named] = &[
    (c"add", add),
    (c"query", query),
    (c"delete", delete),
    (c"count", count),
    (c"clear", clear),
    (c"fromstring", fromstring),
    (c"state", state),
];

impl Object for CuckooFilter {
    fn tag(&self) -> u8 {
        if self.minutes() > 0 { EXPIRING_TAG } else { TAG }
    }

    fn footprint(&self) -> usize {
        CuckooFilter::footprint(self)
    }

    fn print(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }

    fn save(&self, out: &mut Vec<u8>) {
        CuckooFilter::save(self, out);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        CuckooFilter::restore(self, state).map_err(|why| why.to_string())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// `cuckoo_filter.new(items)`: for so many items at least.
fn new<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("new", args);
    let items = call.whole(1, "items", 4..=i64::from(u32::MAX))?.cast_unsigned();
    call.admit(CuckooFilter::footprint_of(items, 0))?;
    let filter = CuckooFilter::new(items, 0).ok_or("not enough memory")?;
    cx.park(Box::new(filter));
    Ok(Answer::Parked)
}

/// `cuckoo_filter.version()` → the version of this library.
fn version<'a>(_: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Text(b"1.0.1"))
}

/// `cf:add(key)` → whether it is new; fails when the filter is full.
fn add<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("add", args);
    let key = call.key(1)?;
    match call.this::<CuckooFilter>()?.add(key.bytes(), 0) {
        Added::New => Ok(Answer::Bool(true)),
        Added::Known(_) => Ok(Answer::Bool(false)),
        Added::Full | Added::TooOld => Err("the cuckoo filter is full".into()),
    }
}

/// `cf:query(key)` → whether it is there.
fn query<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("query", args);
    let key = call.key(1)?;
    Ok(Answer::Bool(call.this::<CuckooFilter>()?.last_used(key.bytes()).is_some()))
}

/// `cf:delete(key)` → whether it was there.
pub(super) fn delete<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("delete", args);
    let key = call.key(1)?;
    Ok(Answer::Bool(call.this::<CuckooFilter>()?.delete(key.bytes())))
}

/// `cf:count()` → how many keys are there.
pub(super) fn count<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("count", args).this::<CuckooFilter>()?;
    Ok(Answer::Number(this.count() as f64))
}

/// `cf:clear()` takes all keys out.
pub(super) fn clear<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Call::method("clear", args).this::<CuckooFilter>()?.clear();
    Ok(Answer::Nothing)
}

/// `cf:fromstring(state)` takes over what a snapshot of another has.
pub(super) fn fromstring<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("fromstring", args);
    let state = call.text(1)?;
    let result = CuckooFilter::restore(&mut *call.this::<CuckooFilter>()?, state);
    result.map_err(|why| call.refused(1, "state", why))?;
    Ok(Answer::Nothing)
}

/// `cf:state()` → its state, for `fromstring`.
pub(super) fn state<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("state", args).this::<CuckooFilter>()?;
    if !args.admit(CuckooFilter::footprint(&this)) {
        return Err("not enough memory".into());
    }
    cx.scratch.clear();
    CuckooFilter::save(&this, &mut cx.scratch);
    Ok(Answer::Text(&cx.scratch))
}
