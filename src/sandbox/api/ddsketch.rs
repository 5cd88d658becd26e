//! `ddsketch`: quantiles of a stream, each within a given part of its true value.

use std::any::Any;

use crate::analysis::ddsketch::DdSketch;
use crate::analysis::ddsketch::MAX_BINS;
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
    name: c"ddsketch",
    functions: &[(c"new", new)],
    parts: &[],
    kinds: &[ObjectKind {
        tag: TAG,
        name: c"ddsketch",
        methods: METHODS,
        metamethods: &[],
        load: |state| Some(Box::new(DdSketch::load(state)?)),
    }],
};

const TAG: u8 = 14;

const METHODS: &[Named] = &[
    (c"add", add),
    (c"quantile", quantile),
    (c"count", count),
    (c"sum", sum),
    (c"min", min),
    (c"max", max),
    (c"avg", avg),
    (c"merge", merge),
    (c"clear", clear),
    (c"fromstring", fromstring),
    (c"state", state),
];

impl Object for DdSketch {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        DdSketch::footprint(self)
    }

    fn print(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }

    fn save(&self, out: &mut Vec<u8>) {
        DdSketch::save(self, out);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        DdSketch::restore(self, state).map_err(|why| why.to_string())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// `ddsketch.new([accuracy])`: quantiles are right to this part, 0.01 where left out.
fn new<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("new", args);
    let accuracy = call.optional_number(1, 0.01)?;
    if !(0.0001..=0.5).contains(&accuracy) {
        return Err(call.refused(1, "accuracy", "number from 0.0001 to 0.5 expected"));
    }
    let sketch = DdSketch::new(accuracy);
    call.admit(Some(DdSketch::footprint(&sketch)))?;
    cx.park(Box::new(sketch));
    Ok(Answer::Parked)
}

/// `dd:add(value[, times])`; a value that is not finite is passed over.
fn add<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("add", args);
    let value = call.number(1)?;
    let times = call.optional_whole(2, "times", 0..=1 << 53, 1)?.cast_unsigned();
    call.this::<DdSketch>()?.add(value, times);
    args.recount(1)?;
    Ok(Answer::Nothing)
}

/// `dd:quantile(rank)` → the value below which this part (0 to 1) lies; nil of no values.
fn quantile<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("quantile", args);
    let rank = call.number(1)?;
    if !(0.0..=1.0).contains(&rank) {
        return Err(call.refused(1, "rank", "number from 0 to 1 expected"));
    }
    Ok(or_nil(call.this::<DdSketch>()?.quantile(rank)))
}

fn or_nil<'a>(value: Option<f64>) -> Answer<'a> {
    value.map_or(Answer::Nil, Answer::Number)
}

/// `dd:count()` → how many values there were.
fn count<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Number(Call::method("count", args).this::<DdSketch>()?.count() as f64))
}

/// `dd:sum()` → their sum.
fn sum<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Number(Call::method("sum", args).this::<DdSketch>()?.sum()))
}

/// `dd:min()` → the smallest value; nil of none.
fn min<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let range = Call::method("min", args).this::<DdSketch>()?.range();
    Ok(or_nil(range.map(|(min, _)| min)))
}

/// `dd:max()` → the largest value; nil of none.
fn max<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let range = Call::method("max", args).this::<DdSketch>()?.range();
    Ok(or_nil(range.map(|(_, max)| max)))
}

/// `dd:avg()` → their mean; nil of none.
fn avg<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("avg", args).this::<DdSketch>()?;
    let count = this.count();
    Ok(or_nil((count > 0).then(|| this.sum() / count as f64)))
}

/// `dd:merge(other)` adds what another of the same accuracy has counted.
fn merge<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("merge", args);
    let mut this = call.this::<DdSketch>()?;
    let other = call.object::<DdSketch>(1, "another ddsketch")?;
    this.merge(&other).map_err(|_| call.refused(1, "other", "the same accuracy expected"))?;
    drop(this);
    args.recount(1)?;
    Ok(Answer::Nothing)
}

/// `dd:clear()` takes all values out.
fn clear<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Call::method("clear", args).this::<DdSketch>()?.clear();
    args.recount(1)?;
    Ok(Answer::Nothing)
}

/// `dd:fromstring(state)` takes over what a snapshot of another has.
fn fromstring<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("fromstring", args);
    let state = call.text(1)?;
    let result = DdSketch::restore(&mut *call.this::<DdSketch>()?, state);
    result.map_err(|why| call.refused(1, "state", why))?;
    args.recount(1)?;
    Ok(Answer::Nothing)
}

/// `dd:state()` → its state, for `fromstring`.
fn state<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("state", args).this::<DdSketch>()?;
    if !args.admit(DdSketch::footprint(&this).min(MAX_BINS * 64)) {
        return Err("not enough memory".into());
    }
    cx.scratch.clear();
    DdSketch::save(&this, &mut cx.scratch);
    Ok(Answer::Text(&cx.scratch))
}
