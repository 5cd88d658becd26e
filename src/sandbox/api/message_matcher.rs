//! `create_message_matcher`: conditions on the message the call is about.

use std::any::Any;

use crate::matcher::Matcher;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Object;
use crate::sandbox::raw::ObjectKind;

/// The kind of object.
pub(super) const KIND: ObjectKind = ObjectKind {
    tag: TAG,
    name: c"message_matcher",
    methods: &[(c"eval", eval)],
    metamethods: &[],
    load: |state| {
        let matcher = Matcher::parse_lua(std::str::from_utf8(state).ok()?).ok()?;
        Some(Box::new(Condition { matcher }))
    },
};

const TAG: u8 = 20;

/// The longest expression, in bytes.
const MAX_EXPRESSION: usize = 16 * 1024;

/// What a regular expression in it is taken to hold, in bytes.
const EXPRESSION_BYTES: usize = 128 * 1024;

/// A matcher as a script holds it.
#[derive(Debug)]
struct Condition {
    matcher: Matcher,
}

fn footprint_of(source: &str) -> usize {
    let expressions = source.matches("=~").count() + source.matches("!~").count();
    source.len() * 32 + expressions * EXPRESSION_BYTES
}

impl Object for Condition {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        footprint_of(self.matcher.source())
    }

    fn print(&mut self, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(self.matcher.source().as_bytes());
        true
    }

    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.matcher.source().as_bytes());
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        let source = std::str::from_utf8(state).map_err(|error| error.to_string())?;
        self.matcher = Matcher::parse_lua(source).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// `create_message_matcher(expression)`; what is wrong with it is an error. Text in quotes behind `=~` is a
/// pattern of Lua, as Hindsight's scripts have it.
pub(super) fn create_message_matcher<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("create_message_matcher", args);
    let source = std::str::from_utf8(call.text(1)?);
    let source = source.ok().filter(|source| source.len() <= MAX_EXPRESSION);
    let source = source.ok_or_else(|| call.refused(1, "expression", "too long, or not UTF-8"))?;
    call.admit(Some(footprint_of(source)))?;
    let matcher =
        Matcher::parse_lua(source).map_err(|error| call.refused(1, "expression", error))?;
    cx.park(Box::new(Condition { matcher }));
    Ok(Answer::Parked)
}

/// `matcher:eval()` → whether the message the call is about passes.
fn eval<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("eval", args).this::<Condition>()?;
    let message = cx.loan.message().ok_or("eval() has no message to look at")?;
    Ok(Answer::Bool(this.matcher.matches(&message)))
}
