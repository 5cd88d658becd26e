//! `arg`, the table in which Lua 5.1 gives a function its further arguments.
//!
//! There a function whose parameters end with `...`, and whose body does not name `...`, finds them in a
//! local `arg`, with their number in `arg.n`. Luau has no such local, so it is declared in the text:
//! on the same line, that numbers in messages stay right.

use std::borrow::Cow;
use std::ops::Range;

use super::lint::Kind;
use super::lint::Token;
use super::lint::tokens;

/// What a chunk begins with in which a function has the table. A function may have no globals.
const BEGIN: &str = "local heka_select = select ";
/// What such a function begins with.
const TABLE: &str = " local arg = {n = heka_select('#', ...), ...} ";

/// Declares the table in the functions that use it.
pub(super) fn with_tables(text: &str) -> Cow<'_, str> {
    if !(text.contains("arg") && text.contains("...")) {
        return Cow::Borrowed(text);
    }
    let tokens = tokens(text);
    let Some(mut places) = places(&tokens) else { return Cow::Borrowed(text) };
    if places.is_empty() {
        return Cow::Borrowed(text);
    }
    places.sort_unstable();
    let mut out = String::with_capacity(text.len() + BEGIN.len() + places.len() * TABLE.len());
    out.push_str(BEGIN);
    let mut done = 0;
    for place in places {
        out.push_str(&text[done..place]);
        out.push_str(TABLE);
        done = place;
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// A block that is open.
struct Block {
    /// The place behind the parameters, where it is a function that may have the table.
    after_parameters: Option<usize>,
    is_function: bool,
    has_arg: bool,
    has_dots: bool,
}

/// Where tables are to be declared; none where the text is not what Lua 5.1 reads.
fn places(tokens: &[Token<'_>]) -> Option<Vec<usize>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut places = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        match (token.kind, token.text) {
            (Kind::Keyword, "function") => {
                let parameters = parameters(tokens, at)?;
                blocks.push(Block {
                    after_parameters: after(tokens, &parameters),
                    is_function: true,
                    has_arg: false,
                    has_dots: false,
                });
                at = parameters.end;
            }
            (Kind::Keyword, "do" | "if" | "repeat") => blocks.push(Block {
                after_parameters: None,
                is_function: false,
                has_arg: false,
                has_dots: false,
            }),
            (Kind::Keyword, "end" | "until") => {
                let closed = blocks.pop()?;
                let has_table = closed.has_arg && !closed.has_dots;
                let table = closed.after_parameters.filter(|_| has_table);
                if let Some(outer) = blocks.last_mut() {
                    outer.has_arg |= closed.has_arg && table.is_none();
                    outer.has_dots |= closed.has_dots && !closed.is_function;
                }
                places.extend(table);
            }
            (Kind::Symbol, "...") => {
                if let Some(block) = blocks.last_mut() {
                    block.has_dots = true;
                }
            }
            (Kind::Name, "arg") if is_variable(tokens, at) => {
                if let Some(block) = blocks.last_mut() {
                    block.has_arg = true;
                }
            }
            _ => {}
        }
        at += 1;
    }
    blocks.is_empty().then_some(places)
}

/// The tokens from the parenthesis that opens the parameters of the function at `at` to the one that
/// closes them.
fn parameters(tokens: &[Token<'_>], at: usize) -> Option<Range<usize>> {
    let start = at + tokens.get(at..)?.iter().position(|token| token.text == "(")?;
    let end = start + tokens[start..].iter().position(|token| token.text == ")")?;
    Some(start..end)
}

/// The place behind parameters that end with `...`, where none of them is `arg` itself.
fn after(tokens: &[Token<'_>], parameters: &Range<usize>) -> Option<usize> {
    let inner = &tokens[parameters.start + 1..parameters.end];
    let has_table = inner.last().is_some_and(|last| last.text == "...")
        && inner.iter().all(|name| name.text != "arg");
    has_table.then(|| tokens[parameters.end].range().end)
}

/// Tells whether the name is no member and no key.
fn is_variable(tokens: &[Token<'_>], at: usize) -> bool {
    let is_member = at > 0 && matches!(tokens[at - 1].text, "." | ":");
    let is_key = at > 0
        && matches!(tokens[at - 1].text, "{" | "," | ";")
        && tokens.get(at + 1).is_some_and(|next| next.text == "=");
    !is_member && !is_key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: usize) {
        let out = with_tables(text);
        assert_eq!(out.matches(TABLE).count(), expected, "{text}: {out}");
        assert_eq!(out.lines().count(), text.lines().count());
    }

    #[test]
    fn functions_that_use_it_get_the_table() {
        check("function f(...) return arg.n end", 1);
        check(
            "local f = function(a, ...)\n if a then for i = 1, arg.n do g(arg[i]) end end end",
            1,
        );
        check("function f(...) return function() return arg[1] end end", 1);
        check("function f(...) return arg end function g(...) return arg end", 2);
        check("function f(...) while 1 do repeat local x = arg until x end end", 1);
    }

    #[test]
    fn others_stay_as_they_are() {
        check("function f(...) local arg = {...} return arg end", 0);
        check("function f(...) return select('#', ...) end -- arg", 0);
        check("function f(arg, ...) return arg end", 0);
        check("function f(arg) return arg, '...' end", 0);
        check("function f(...) return x.arg, {arg = 1} end", 0);
        check("function f(...) return arg", 0);
        check("return arg, ...", 0);
    }
}
