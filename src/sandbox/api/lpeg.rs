//! `lpeg`: parsing expression grammars, as LPeg 1.0 has them.
//!
//! What must be a pattern has been made one when these functions are called, see
//! `raw/pattern.rs`; there too is matching, which may call the script. Where a function makes a
//! pattern, it notes where the values that the pattern refers to come from.

use std::cell::Ref;

use crate::peg::ByteSet;
use crate::peg::Capture;
use crate::peg::Error;
use crate::peg::Key;
use crate::peg::Pattern;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::pattern::Held;
use crate::sandbox::pattern::Source;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Kind;
use crate::sandbox::raw::Maker;
use crate::sandbox::raw::Named;
use crate::sandbox::raw::Place;
use crate::sandbox::raw::Table;
use crate::sandbox::raw::Value;

/// The functions that take no pattern.
pub(super) const FUNCTIONS: &[Named] = &[(c"version", version), (c"setmaxstack", setmaxstack)];

/// The functions that make a pattern: name, which arguments are patterns, what is made of them.
pub(super) const MAKERS: &[Maker] = &[
    (c"S", &[], one_of),
    (c"R", &[], ranges),
    (c"V", &[], rule),
    (c"B", &[1], behind),
    (c"C", &[1], simple),
    (c"Cc", &[], constants),
    (c"Cg", &[1], group),
    (c"Cb", &[], back),
    (c"Cf", &[1], fold),
    (c"Cs", &[1], substitution),
    (c"Ct", &[1], table),
    (c"Cmt", &[1], runtime),
    (c"Carg", &[], argument),
    (c"Cp", &[], position),
];

/// The operators.
pub(super) const OPERATORS: &[Maker] = &[
    (c"__mul", &[1, 2], then),
    (c"__add", &[1, 2], or),
    (c"__sub", &[1, 2], minus),
    (c"__div", &[1], divide),
    (c"__pow", &[1], power),
    (c"__unm", &[1], not),
    (c"__len", &[1], look),
];

/// A set by its name and what is in it.
type Class = (&'static str, fn(u8) -> bool);

/// The sets of `lpeg.locale`, by the C locale.
pub(in crate::sandbox) const CLASSES: [Class; 11] = [
    ("alnum", |byte| byte.is_ascii_alphanumeric()),
    ("alpha", |byte| byte.is_ascii_alphabetic()),
    ("cntrl", |byte| byte.is_ascii_control()),
    ("digit", |byte| byte.is_ascii_digit()),
    ("graph", |byte| byte.is_ascii_graphic()),
    ("lower", |byte| byte.is_ascii_lowercase()),
    ("print", |byte| byte.is_ascii_graphic() || byte == b' '),
    ("punct", |byte| byte.is_ascii_punctuation()),
    ("space", |byte| byte.is_ascii_whitespace() || byte == 0x0b),
    ("upper", |byte| byte.is_ascii_uppercase()),
    ("xdigit", |byte| byte.is_ascii_hexdigit()),
];

/// What a function that makes a pattern returns: the pattern itself is parked.
type Made = Result<Answer<'static>, Complaint>;

impl From<Error> for Complaint {
    fn from(error: Error) -> Complaint {
        Complaint::Text(error.to_string())
    }
}

/// Makes a pattern of what stands in the place of one.
pub(in crate::sandbox) fn convert(cx: &mut Context, args: Args<'_>, index: usize) -> Made {
    cx.patterns.sources.clear();
    let made = match args.value(index) {
        Value::Text(text) => Pattern::literal(text)?,
        Value::Number(number) => Pattern::any(whole(number))?,
        Value::Bool(truth) => Pattern::truth(truth),
        Value::Table(rules) => grammar(cx, rules, index)?,
        Value::Other(Kind::Function) => {
            cx.patterns.sources.push(Source::Argument(index));
            Pattern::truth(true).runtime()?
        }
        other => {
            let kind = if args.kind(index) == Kind::None { Kind::None } else { other.kind() };
            let kind = kind.name();
            return Err(format!("bad argument #{index} (lpeg-pattern expected, got {kind})").into());
        }
    };
    finish(cx, made)
}

/// Makes the opposite of the pattern at `index`.
pub(in crate::sandbox) fn negate(cx: &mut Context, args: Args<'_>, index: usize) -> Made {
    let held = args.pattern(index).ok_or("lpeg-pattern expected")?;
    let made = held.tree.not()?;
    cx.patterns.sources.clear();
    cx.patterns.sources.push(Source::Pattern(index));
    finish(cx, made)
}

/// Makes a grammar of a table.
fn grammar(cx: &mut Context, table: Table<'_>, index: usize) -> Result<Pattern, Complaint> {
    let first = table.item(1, |value| key_of(value)).flatten();
    let mut rules: Vec<(Key<'_>, Ref<'_, Held>, Place)> = Vec::new();
    let mut place = Place::START;
    let mut trouble = None;
    while let Some((found, next)) = table.visit(place, |key, value| (key_of(key), value)) {
        match found {
            // The name of the rule to begin with.
            (Some(Key::Number(1.0)), Value::Text(_) | Value::Number(_) | Value::Bool(_)) => {}
            (Some(key), Value::Object(cell)) => {
                let held = cell.try_borrow().ok();
                let held =
                    held.and_then(|held| Ref::filter_map(held, |object| object.as_pattern()).ok());
                match held {
                    Some(held) => rules.push((key, held, place)),
                    None => trouble = Some(shown(key)),
                }
            }
            (key, _) => trouble = Some(key.map_or("?".to_owned(), shown)),
        }
        place = next;
    }
    if let Some(rule) = trouble {
        return Err(format!("rule '{rule}' is not a pattern").into());
    }
    let first = first.unwrap_or(Key::Number(1.0));
    // By name, so that a grammar is the same each time the script is loaded.
    rules.sort_by_key(|(key, _, _)| (*key != first, shown(*key)));
    match rules.first() {
        Some((key, _, _)) if *key == first => {}
        _ if first == Key::Number(1.0) => return Err("grammar has no initial rule".into()),
        _ => return Err(format!("initial rule '{}' is not defined", shown(first)).into()),
    }
    for (_, _, place) in &rules {
        cx.patterns.sources.push(Source::Rule(index, *place));
    }
    let trees: Vec<_> = rules.iter().map(|(key, held, _)| (*key, &held.tree)).collect();
    Ok(Pattern::grammar(&trees)?)
}

fn key_of(value: Value<'_>) -> Option<Key<'_>> {
    match value {
        Value::Text(text) => Some(Key::Text(text)),
        Value::Number(number) => Some(Key::Number(number)),
        Value::Bool(truth) => Some(Key::Bool(truth)),
        _ => None,
    }
}

fn shown(key: Key<'_>) -> String {
    match key {
        Key::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Key::Number(number) => number.to_string(),
        Key::Bool(truth) => truth.to_string(),
        Key::Nil | Key::Value => "?".to_owned(),
    }
}

/// Parks a pattern whose sources have been noted.
fn finish(cx: &mut Context, made: Pattern) -> Made {
    let held = cx.patterns.hold(made);
    cx.park(Box::new(held));
    Ok(Answer::Parked)
}

/// Parks a pattern that is made of the pattern at `index`.
fn unary(
    cx: &mut Context,
    args: &Args<'_>,
    make: impl FnOnce(&Pattern) -> Result<Pattern, Error>,
) -> Made {
    let held = args.pattern(1).ok_or("bad argument #1 (lpeg-pattern expected)")?;
    let made = make(&held.tree)?;
    cx.patterns.sources.clear();
    cx.patterns.sources.push(Source::Pattern(1));
    finish(cx, made)
}

fn binary(
    cx: &mut Context,
    args: &Args<'_>,
    make: impl FnOnce(&Pattern, &Pattern) -> Result<Pattern, Error>,
) -> Made {
    let first = args.pattern(1).ok_or("bad argument #1 (lpeg-pattern expected)")?;
    let second = args.pattern(2).ok_or("bad argument #2 (lpeg-pattern expected)")?;
    let made = make(&first.tree, &second.tree)?;
    cx.patterns.sources.clear();
    cx.patterns.sources.extend([Source::Pattern(1), Source::Pattern(2)]);
    finish(cx, made)
}

fn leaf(cx: &mut Context, made: Pattern) -> Made {
    cx.patterns.sources.clear();
    finish(cx, made)
}

fn then<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    binary(cx, &args, Pattern::then)
}

fn or<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    binary(cx, &args, Pattern::or)
}

fn minus<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    binary(cx, &args, Pattern::minus)?;
    // The values of what must not match come first.
    cx.patterns.sources.reverse();
    Ok(Answer::Parked)
}

fn not<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    unary(cx, &args, Pattern::not)
}

pub(in crate::sandbox) fn look<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    unary(cx, &args, Pattern::look)
}

fn power<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let count = args.number(2).ok_or_else(|| {
        let kind = args.kind(2).name();
        format!("bad argument #2 to '^' (number expected, got {kind})")
    })?;
    unary(cx, &args, |pattern| pattern.repeat(whole(count)))
}

/// `patt / x`: what becomes of the captures is told by the type of `x`.
fn divide<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let (kind, key) = match args.value(2) {
        Value::Text(text) => (Capture::Format, Some(Key::Text(text))),
        Value::Number(number) => match u32::try_from(whole(number)) {
            Ok(number) if number < 1 << 16 => (Capture::Select(number), None),
            _ => return Err("bad argument #2 to '/' (invalid number)".into()),
        },
        Value::Table(_) => (Capture::Query, Some(Key::Value)),
        Value::Other(Kind::Function) => (Capture::Function, Some(Key::Value)),
        _ => return Err("bad argument #2 to '/' (invalid replacement value)".into()),
    };
    unary(cx, &args, |pattern| pattern.capture(kind, key))?;
    if key == Some(Key::Value) {
        cx.patterns.sources.push(Source::Argument(2));
    }
    Ok(Answer::Parked)
}

/// `lpeg.S(text)`: any one of the bytes.
fn one_of<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let text = Call::function("S", args).text(1)?;
    leaf(cx, Pattern::one_of(ByteSet::of(text)))
}

/// `lpeg.R(range...)`: any one of the bytes in the ranges, each of two bytes.
fn ranges<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let mut set = ByteSet::EMPTY;
    for index in 1..=args.len() {
        match args.text(index) {
            Some([low, high]) => set.insert_range(*low, *high),
            _ => {
                return Err(format!(
                    "bad argument #{index} to 'R' (range must have two characters)"
                )
                .into());
            }
        }
    }
    leaf(cx, Pattern::one_of(set))
}

/// `lpeg.V(name)`: the rule of that name.
fn rule<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let name = key_of(args.value(1));
    let name = name.ok_or("bad argument #1 to 'V' (string, number or boolean expected)")?;
    leaf(cx, Pattern::rule(name)?)
}

/// `lpeg.B(patt)`: what ends here.
fn behind<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let name = |error: Complaint| match error {
        Complaint::Text(text) => format!("bad argument #1 to 'B' ({text})").into(),
        Complaint::Static(text) => text.into(),
    };
    unary(cx, &args, Pattern::behind).map_err(name)
}

/// `lpeg.C(patt)`: the text matched.
fn simple<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    unary(cx, &args, |pattern| pattern.capture(Capture::Simple, None))
}

/// `lpeg.Cc(values...)`: constants.
fn constants<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let mut keys = Vec::new();
    let mut sources = Vec::new();
    for index in 1..=args.len() {
        keys.push(match args.value(index) {
            Value::Nil => Key::Nil,
            Value::Bool(truth) => Key::Bool(truth),
            Value::Number(number) => Key::Number(number),
            Value::Text(text) => Key::Text(text),
            _ => {
                sources.push(Source::Argument(index));
                Key::Value
            }
        });
    }
    let made = Pattern::constants(&keys)?;
    cx.patterns.sources = sources;
    finish(cx, made)
}

/// `lpeg.Cg(patt[, name])`: the values inside, together or under a name.
fn group<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    if args.is_absent(2) {
        return unary(cx, &args, |pattern| pattern.capture(Capture::Group, None));
    }
    let name = key_of(args.value(2));
    let name = name.ok_or("bad argument #2 to 'Cg' (string, number or boolean expected)")?;
    unary(cx, &args, |pattern| pattern.capture(Capture::Group, Some(name)))
}

/// `lpeg.Cb(name)`: the values of the group captured last under the name.
fn back<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let name = key_of(args.value(1));
    let name = name.ok_or("bad argument #1 to 'Cb' (string, number or boolean expected)")?;
    leaf(cx, Pattern::truth(true).capture(Capture::Back, Some(name))?)
}

/// `lpeg.Cf(patt, function)`: the values inside, folded.
fn fold<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    if args.kind(2) != Kind::Function {
        return Err("bad argument #2 to 'Cf' (function expected)".into());
    }
    unary(cx, &args, |pattern| pattern.capture(Capture::Fold, Some(Key::Value)))?;
    cx.patterns.sources.push(Source::Argument(2));
    Ok(Answer::Parked)
}

/// `lpeg.Cs(patt)`: the text matched, with what captures inside make of their parts.
fn substitution<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    unary(cx, &args, |pattern| pattern.capture(Capture::Substitution, None))
}

/// `lpeg.Ct(patt)`: a table of the values inside.
fn table<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    unary(cx, &args, |pattern| pattern.capture(Capture::Table, None))
}

/// `lpeg.Cmt(patt, function)`: asks the function, while matching.
fn runtime<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    if args.kind(2) != Kind::Function {
        return Err("bad argument #2 to 'Cmt' (function expected)".into());
    }
    unary(cx, &args, Pattern::runtime)?;
    cx.patterns.sources.push(Source::Argument(2));
    Ok(Answer::Parked)
}

/// `lpeg.Carg(n)`: an extra argument of the match.
fn argument<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let number = args.number(1).map(whole).and_then(|number| u32::try_from(number).ok());
    match number {
        Some(number @ 1..=0xffff) => {
            leaf(cx, Pattern::truth(true).capture(Capture::Argument(number), None)?)
        }
        _ => Err("bad argument #1 to 'Carg' (invalid argument index)".into()),
    }
}

/// `lpeg.Cp()`: the position.
fn position<'a>(cx: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    leaf(cx, Pattern::truth(true).capture(Capture::Position, None)?)
}

/// `lpeg.version()` → the version whose functions these are.
fn version<'a>(_: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Text(b"1.0.2"))
}

/// `lpeg.setmaxstack(n)`: the most choices and calls of a match at a time.
fn setmaxstack<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let number = args.number(1).map(whole).and_then(|number| usize::try_from(number).ok());
    match number {
        Some(number) if number > 0 => cx.patterns.max_stack = number,
        _ => return Err("bad argument #1 to 'setmaxstack' (number above 0 expected)".into()),
    }
    Ok(Answer::Nothing)
}

#[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
fn whole(number: f64) -> i64 {
    number.trunc() as i64
}
