//! `msg`, the argument of `process_message`: `msg.Type`, `msg.Fields.status`.
//!
//! One object stands for whatever message the running call is about. Outside a call there is none,
//! and reading is an error.

use super::read_message;
use crate::message::Value;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::selector::Part;

/// `msg.Name`, or `msg["Fields[x][0][1]"]`.
pub(super) fn member<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    demand_message(cx)?;
    let Some((text, Some(selector))) = args.selector(2) else { return Ok(Answer::Nil) };
    if selector.part == Part::Fields {
        return Ok(Answer::Kept(cx.fields));
    }
    Ok(read_message::read(cx, text, selector))
}

/// `msg.Fields.name`: the first value of the first field of that name.
pub(super) fn field<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    demand_message(cx)?;
    let Some(name) = args.text(2) else { return Ok(Answer::Nil) };
    let value: Option<Value<'a>> = match cx.changed() {
        Some(draft) => draft.field(name, 0).and_then(|field| field.value(0)),
        None => cx.loan.message().and_then(|message| message.value(name, 0, 0)),
    };
    Ok(value.map_or(Answer::Nil, read_message::of_value))
}

fn demand_message(cx: &Context) -> Result<(), Complaint> {
    if cx.loan.draft().is_none() && cx.loan.message().is_none() {
        return Err("msg is valid only during the call it was passed to".into());
    }
    Ok(())
}
