//! `regex`: regular expressions of Rust's engine, which never goes back.

use std::any::Any;

use regex_automata::util::captures::Captures;

use crate::analysis::pattern::Pattern;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;
use crate::sandbox::raw::Object;
use crate::sandbox::raw::ObjectKind;
use crate::sandbox::raw::Tape;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"regex",
    functions: &[(c"new", new), (c"escape", escape)],
    parts: &[],
    kinds: &[ObjectKind {
        tag: TAG,
        name: c"regex",
        methods: &[
            (c"test", test),
            (c"match", find_match),
            (c"find", find),
            (c"captures", captures),
            (c"all", all),
            (c"gsub", gsub),
        ],
        metamethods: &[(c"__tostring", tostring)],
        load: |state| Some(Box::new(Pattern::new(state).ok()?)),
    }],
};

const TAG: u8 = 18;

/// The most matches one call gives or replaces.
const MAX_MATCHES: usize = 100_000;

impl Object for Pattern {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        Pattern::footprint(self)
    }

    fn print(&mut self, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(self.source().as_bytes());
        true
    }

    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.source().as_bytes());
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        // The script is what says which expression it is.
        if state != self.source().as_bytes() {
            *self = Pattern::new(state).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// `regex.new(expression)`; what is wrong with it is an error.
fn new<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("new", args);
    let expression = call.text(1)?;
    let pattern = Pattern::new(expression);
    let pattern = pattern.map_err(|error| call.refused(1, "expression", error))?;
    call.admit(Some(Pattern::footprint(&pattern)))?;
    cx.park(Box::new(pattern));
    Ok(Answer::Parked)
}

/// `regex.escape(text)` → an expression that finds just the text.
fn escape<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("escape", args);
    let text = call.text(1)?;
    call.admit(Some(text.len() * 2))?;
    let text = std::str::from_utf8(text).map_err(|_| call.refused(1, "text", "not UTF-8"))?;
    cx.scratch.clear();
    cx.scratch.extend_from_slice(regex_syntax::escape(text).as_bytes());
    Ok(Answer::Text(&cx.scratch))
}

/// The text to be searched, not too long for the expression, and where to begin.
fn subject<'a>(call: &Call<'a>, pattern: &Pattern) -> Result<&'a [u8], Complaint> {
    let text = call.text(1)?;
    pattern.admit(text.len()).map_err(|error| call.refused(1, "text", error))?;
    Ok(text)
}

fn start(call: &Call<'_>, number: usize, length: usize) -> Result<usize, Complaint> {
    let start = call.optional_whole(number, "start", i64::MIN..=i64::MAX, 1)?;
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let at = if start < 0 { length.saturating_add(start) } else { start - 1 };
    Ok(usize::try_from(at.max(0)).unwrap_or(0))
}

/// `re:test(text)` → whether it is found.
fn test<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("test", args);
    let pattern = call.this::<Pattern>()?;
    let text = subject(&call, &pattern)?;
    Ok(Answer::Bool(pattern.is_in(text)))
}

/// Searches from argument 2 on.
fn search<'a>(
    call: &Call<'a>,
    pattern: &Pattern,
) -> Result<Option<(&'a [u8], Captures)>, Complaint> {
    let text = subject(call, pattern)?;
    let start = start(call, 2, text.len())?;
    if start > text.len() {
        return Ok(None);
    }
    let mut captures = pattern.captures();
    pattern.search(text, start, &mut captures);
    Ok(captures.is_match().then_some((text, captures)))
}

/// Writes the groups behind the whole; a group that took no part is nil, or false in a table.
fn write_groups(tape: &mut Tape, text: &[u8], captures: &Captures) -> usize {
    let count = captures.group_len().saturating_sub(1);
    for index in 1..=count {
        match captures.get_group(index) {
            Some(span) => tape.text(text.get(span.range()).unwrap_or_default()),
            None => tape.nil(),
        }
    }
    count
}

/// `re:match(text[, start])` → its groups, or all that was found where it has none; nil when it is
/// not found.
fn find_match<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("match", args);
    let pattern = call.this::<Pattern>()?;
    let Some((text, captures)) = search(&call, &pattern)? else { return Ok(Answer::Nil) };
    cx.tape.clear();
    let count = write_groups(&mut cx.tape, text, &captures);
    if count > 0 {
        return Ok(Answer::Tape(count));
    }
    let span = captures.get_match().map(|found| found.range()).unwrap_or_default();
    Ok(Answer::Text(text.get(span).unwrap_or_default()))
}

/// `re:find(text[, start])` → where it begins and ends, and its groups; nil when it is not found.
fn find<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("find", args);
    let pattern = call.this::<Pattern>()?;
    let Some((text, captures)) = search(&call, &pattern)? else { return Ok(Answer::Nil) };
    let span = captures.get_match().map(|found| found.range()).unwrap_or_default();
    cx.tape.clear();
    cx.tape.number((span.start + 1) as f64);
    cx.tape.number(span.end as f64);
    let count = write_groups(&mut cx.tape, text, &captures);
    Ok(Answer::Tape(count + 2))
}

/// `re:captures(text[, start])` → a table of its groups by number and by name, the whole under 0; nil
/// when it is not found.
fn captures<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("captures", args);
    let pattern = call.this::<Pattern>()?;
    let Some((text, captures)) = search(&call, &pattern)? else { return Ok(Answer::Nil) };
    let tape = &mut cx.tape;
    tape.clear();
    tape.table(captures.group_len(), captures.group_len());
    for (index, name) in pattern.names().enumerate() {
        let Some(span) = captures.get_group(index) else { continue };
        let group = text.get(span.range()).unwrap_or_default();
        tape.number(index as f64);
        tape.text(group);
        tape.pair();
        if let Some(name) = name {
            tape.text(name.as_bytes());
            tape.text(group);
            tape.pair();
        }
    }
    Ok(Answer::Tape(1))
}

/// Goes through all matches that do not overlap; each search is from the end of the one before.
fn each(
    call: &Call<'_>,
    pattern: &Pattern,
    text: &[u8],
    mut visit: impl FnMut(std::ops::Range<usize>, &Captures) -> Result<bool, Complaint>,
) -> Result<(), Complaint> {
    let mut captures = pattern.captures();
    let (mut at, mut last) = (0, usize::MAX);
    for _ in 0..MAX_MATCHES {
        call.args.go_on()?;
        if at > text.len() {
            return Ok(());
        }
        pattern.search(text, at, &mut captures);
        let Some(found) = captures.get_match().map(|found| found.range()) else { return Ok(()) };
        // What is empty and where the last ended is no match of its own.
        let is_again = found.is_empty() && found.start == last;
        at = if found.is_empty() { found.end + 1 } else { found.end };
        last = found.end;
        if !is_again && !visit(found, &captures)? {
            return Ok(());
        }
    }
    Err(format!("regex: more than {MAX_MATCHES} matches").into())
}

/// `re:all(text)` → a list of what `re:match` gives for each: a string, or a list of groups.
fn all<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("all", args);
    let pattern = call.this::<Pattern>()?;
    let text = subject(&call, &pattern)?;
    let tape = &mut cx.tape;
    tape.clear();
    tape.table(0, 0);
    let mut count = 0;
    each(&call, &pattern, text, |found, captures| {
        count += 1;
        let groups = captures.group_len().saturating_sub(1);
        if groups == 0 {
            tape.text(text.get(found).unwrap_or_default());
        } else {
            tape.table(groups, 0);
            for index in 1..=groups {
                match captures.get_group(index) {
                    Some(span) => tape.text(text.get(span.range()).unwrap_or_default()),
                    None => tape.bool(false),
                }
                tape.item(index);
            }
        }
        tape.item(count);
        if args.admit(tape.footprint()) { Ok(true) } else { Err("not enough memory".into()) }
    })?;
    Ok(Answer::Tape(1))
}

/// `re:gsub(text, replacement[, count])` → the text with matches replaced, and how many there were;
/// in the replacement `$1` and `${name}` are groups, `$$` is a dollar.
fn gsub<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("gsub", args);
    let pattern = call.this::<Pattern>()?;
    let text = subject(&call, &pattern)?;
    let replacement = call.text(2)?;
    let most = call.optional_whole(3, "count", 0..=i64::MAX, i64::MAX)?;
    let out = &mut cx.scratch;
    out.clear();
    let (mut count, mut done) = (0, 0);
    each(&call, &pattern, text, |found, captures| {
        if count >= most {
            return Ok(false);
        }
        count += 1;
        out.extend_from_slice(text.get(done..found.start).unwrap_or_default());
        captures.interpolate_bytes_into(text, replacement, out);
        done = found.end;
        if args.admit(out.len()) { Ok(true) } else { Err("not enough memory".into()) }
    })?;
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    if !args.admit(out.len()) {
        return Err("not enough memory".into());
    }
    cx.tape.clear();
    cx.tape.text(&cx.scratch);
    cx.tape.number(count as f64);
    Ok(Answer::Tape(2))
}

/// `tostring(re)` → the expression.
fn tostring<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("tostring", args);
    let pattern = call.object::<Pattern>(1, "regex")?;
    cx.scratch.clear();
    cx.scratch.extend_from_slice(pattern.source().as_bytes());
    Ok(Answer::Text(&cx.scratch))
}
