//! `cuckoo_filter_expire`: a cuckoo filter that forgets what was not used for 256 intervals.

use super::cuckoo_filter;
use super::cuckoo_filter::EXPIRING_TAG;
use crate::analysis::cuckoo_filter::Added;
use crate::analysis::cuckoo_filter::CuckooFilter;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;
use crate::sandbox::raw::ObjectKind;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"cuckoo_filter_expire",
    functions: &[(c"new", new), (c"version", version)],
    parts: &[],
    kinds: &[ObjectKind {
        tag: EXPIRING_TAG,
        name: c"cuckoo_filter_expire",
        methods: &[
            (c"add", add),
            (c"query", query),
            (c"current_interval", current_interval),
            (c"delete", cuckoo_filter::delete),
            (c"count", cuckoo_filter::count),
            (c"clear", cuckoo_filter::clear),
            (c"fromstring", cuckoo_filter::fromstring),
            (c"state", cuckoo_filter::state),
        ],
        metamethods: &[],
        load: |state| Some(Box::new(CuckooFilter::load(state)?)),
    }],
};

/// Minutes of the longest interval: a week.
const MAX_MINUTES: i64 = 7 * 24 * 60;

/// `cuckoo_filter_expire.new(items, minutes)`: an interval has so many minutes.
fn new<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("new", args);
    let items = call.whole(1, "items", 4..=i64::from(u32::MAX))?.cast_unsigned();
    let minutes = call.whole(2, "interval_size", 1..=MAX_MINUTES)?;
    let minutes = u32::try_from(minutes).unwrap_or(1);
    call.admit(CuckooFilter::footprint_of(items, minutes))?;
    let filter = CuckooFilter::new(items, minutes).ok_or("not enough memory")?;
    cx.park(Box::new(filter));
    Ok(Answer::Parked)
}

/// `cuckoo_filter_expire.version()` → the version of this library.
fn version<'a>(_: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Text(b"1.0.1"))
}

/// `cf:add(key, ns)` → whether it is new, and how many intervals ago it was used last; nil when the
/// time is before all that is kept.
fn add<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("add", args);
    let (key, ns) = (call.key(1)?, call.time(2)?);
    let (is_new, age) = match call.this::<CuckooFilter>()?.add(key.bytes(), ns) {
        Added::New => (true, 0),
        Added::Known(age) => (false, age),
        Added::Full | Added::TooOld => return Ok(Answer::Nil),
    };
    Ok(answer(cx, is_new, age))
}

/// `cf:query(key)` → whether it is there, and how many intervals ago it was used last.
fn query<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("query", args);
    let key = call.key(1)?;
    let age = call.this::<CuckooFilter>()?.last_used(key.bytes());
    Ok(answer(cx, age.is_some(), age.unwrap_or(0)))
}

fn answer(cx: &mut Context, truth: bool, age: i64) -> Answer<'_> {
    cx.tape.clear();
    cx.tape.bool(truth);
    cx.tape.number(age as f64);
    Answer::Tape(2)
}

/// `cf:current_interval()` → when the newest interval begins, in nanoseconds, and its number among the 256.
fn current_interval<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("current_interval", args).this::<CuckooFilter>()?;
    cx.tape.clear();
    cx.tape.number(this.interval() as f64 * f64::from(this.minutes()) * 60e9);
    cx.tape.number(this.interval().rem_euclid(256) as f64);
    Ok(Answer::Tape(2))
}
