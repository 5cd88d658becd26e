//! How many arguments functions take, as `lua/types/` declares them.
//!
//! The declarations are what an editor reads, so that both say the same. Read of them are
//! `declare function name(…)` and the functions in `declare library: { … }`; what else stands there is
//! passed over.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use super::lexer;
use super::lexer::Kind;
use super::lexer::Token;
use crate::stdx::embedded;

/// As many as one likes.
const ANY: usize = usize::MAX;

/// Of Lua's own functions, those that scripts use most.
const OWN: [(&str, usize, usize); 34] = [
    ("ipairs", 1, 1),
    ("math.abs", 1, 1),
    ("math.ceil", 1, 1),
    ("math.floor", 1, 1),
    ("math.fmod", 2, 2),
    ("math.max", 1, ANY),
    ("math.min", 1, ANY),
    ("math.pow", 2, 2),
    ("math.sqrt", 1, 1),
    ("next", 1, 2),
    ("pairs", 1, 1),
    ("rawequal", 2, 2),
    ("rawget", 2, 2),
    ("rawset", 3, 3),
    ("select", 1, ANY),
    ("setmetatable", 2, 2),
    ("string.byte", 1, 3),
    ("string.find", 2, 4),
    ("string.format", 1, ANY),
    ("string.gmatch", 2, 2),
    ("string.gsub", 3, 4),
    ("string.len", 1, 1),
    ("string.lower", 1, 1),
    ("string.match", 2, 3),
    ("string.rep", 2, 3),
    ("string.reverse", 1, 1),
    ("string.sub", 2, 3),
    ("string.upper", 1, 1),
    ("table.concat", 1, 4),
    ("table.insert", 2, 3),
    ("table.remove", 1, 2),
    ("tonumber", 1, 2),
    ("tostring", 1, 1),
    ("type", 1, 1),
];

static DECLARED: LazyLock<BTreeMap<String, RangeInclusive<usize>>> = LazyLock::new(|| {
    let mut declared = BTreeMap::new();
    for (name, least, most) in OWN {
        declared.insert(name.to_owned(), least..=most);
    }
    for name in embedded::names("lua/types/") {
        let text = embedded::embedded(&name).unwrap_or_default();
        read(&lexer::tokens(&String::from_utf8_lossy(&text)), &mut declared);
    }
    declared
});

/// How many arguments the function of this name takes (`inject_payload`, `string.format`), where it
/// is known.
pub(super) fn arity(name: &str) -> Option<RangeInclusive<usize>> {
    DECLARED.get(name).cloned()
}

/// The number of a count of arguments, in words.
pub(super) fn told(arity: &RangeInclusive<usize>) -> String {
    let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
    match (*arity.start(), *arity.end()) {
        (0, 0) => "no arguments".to_owned(),
        (least, most) if least == most => format!("{least} {}", plural(least)),
        (least, ANY) => format!("at least {least} {}", plural(least)),
        (0, most) => format!("at most {most} {}", plural(most)),
        (least, most) => format!("{least} to {most} arguments"),
    }
}

/// Reads declarations.
fn read(tokens: &[Token<'_>], declared: &mut BTreeMap<String, RangeInclusive<usize>>) {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut at = 0;
    while at < tokens.len() {
        match (text(at), text(at + 1)) {
            ("declare", "function") => {
                declared.insert(text(at + 2).to_owned(), parameters(tokens, at + 3));
                at += 3;
            }
            ("declare", library) if text(at + 2) == ":" && text(at + 3) == "{" => {
                at = members(tokens, at + 4, library, declared);
            }
            _ => at += 1,
        }
    }
}

/// Reads the functions of a library up to its closing brace; says what comes behind that.
fn members(
    tokens: &[Token<'_>],
    mut at: usize,
    library: &str,
    declared: &mut BTreeMap<String, RangeInclusive<usize>>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut depth = 1;
    while at < tokens.len() && depth > 0 {
        match text(at) {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            name if depth == 1 && text(at + 1) == ":" && text(at + 2) == "(" => {
                declared.insert(format!("{library}.{name}"), parameters(tokens, at + 2));
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    at
}

/// How many arguments parameters in brackets, which open at `at`, stand for.
fn parameters(tokens: &[Token<'_>], at: usize) -> RangeInclusive<usize> {
    let (mut least, mut most) = (0, 0usize);
    let mut depth = 0;
    // Of the parameter at hand: whether there is one, and whether it may be left out.
    let (mut is_there, mut is_optional, mut is_variadic) = (false, false, false);
    for (offset, token) in tokens[at.min(tokens.len())..].iter().enumerate() {
        let ends = depth == 1 && matches!(token.text, "," | ")");
        if ends {
            if is_there && !is_variadic {
                most = most.saturating_add(1);
                least = if is_optional { least } else { most };
            }
            (is_there, is_optional) = (false, false);
        }
        match token.text {
            "(" | "{" | "[" => depth += 1,
            ")" | "}" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if ends || offset == 0 {
            continue;
        }
        is_there = true;
        match token.text {
            "..." if depth == 1 => is_variadic = true,
            "?" if depth == 1 => is_optional = true,
            "nil" if depth == 1 => is_optional = true,
            _ => {}
        }
    }
    least..=if is_variadic { ANY } else { most }
}

/// Counts the arguments of the call whose bracket opens at `at`: how many there are, and whether the
/// last may be several. `None` where that cannot be seen.
pub(super) fn arguments(tokens: &[Token<'_>], at: usize) -> Option<(usize, bool)> {
    let mut blocks = 0;
    let mut count = 0;
    // Whether what each open bracket stands behind makes it a call.
    let mut open = Vec::new();
    let mut before: Option<&Token<'_>> = None;
    let mut is_call = false;
    for token in tokens.get(at..)? {
        let is_callable = before.is_some_and(is_callable);
        match token.text {
            "function" if token.kind == Kind::Keyword => blocks += 1,
            "end" if token.kind == Kind::Keyword => blocks -= 1,
            // Blocks within a function have ends of their own, and `if` may be an expression.
            "if" | "do" | "repeat" | "while" | "for" if token.kind == Kind::Keyword => return None,
            "(" | "{" | "[" => open.push(is_callable),
            ")" if open.len() == 1 && blocks == 0 => {
                let is_empty = count == 0 && before.is_some_and(|token| token.text == "(");
                let is_all = before.is_some_and(|token| token.text == "...");
                return Some((count + usize::from(!is_empty), is_call || is_all));
            }
            "," if open.len() == 1 && blocks == 0 => count += 1,
            _ => {}
        }
        is_call = match token.text {
            ")" | "}" | "]" => open.pop()? && token.text != "]",
            _ => token.kind == Kind::Literal && is_callable,
        };
        before = Some(token);
    }
    None
}

/// Tells whether what stands behind this word in brackets or quotes is an argument.
fn is_callable(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Name | Kind::Literal => true,
        Kind::Symbol => matches!(token.text, ")" | "]" | "}"),
        Kind::Keyword => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(declaration: &str, name: &str, expected: &str) {
        let mut declared = BTreeMap::new();
        read(&lexer::tokens(declaration), &mut declared);
        let told = declared.get(name).map(told);
        assert_eq!(told.as_deref(), Some(expected), "{declaration}");
    }

    #[test]
    fn declarations_say_how_many_arguments_there_are() {
        check("declare function f(): ()", "f", "no arguments");
        check("declare function f(a: string): boolean", "f", "1 argument");
        check(
            "declare function f(a: string, b: (a: number, c: string) -> ()): ()",
            "f",
            "2 arguments",
        );
        check(
            "declare function f(a: A | { B } | nil, b: (number | string)?)",
            "f",
            "at most 2 arguments",
        );
        check("declare function f(a: string, ...: any): ()", "f", "at least 1 argument");
        check(
            "declare l: {\n  f: (a: { x: number? }) -> (),\n  n: number,\n}",
            "l.f",
            "1 argument",
        );
        check(
            "declare l: { w: { new: (n: number) -> W }, f: (a: any?) -> () }",
            "l.f",
            "at most 1 argument",
        );
    }

    #[test]
    fn our_own_functions_are_declared() {
        assert_eq!(arity("read_config"), Some(1..=1));
        assert_eq!(arity("read_message"), Some(1..=4));
        assert_eq!(arity("inject_payload"), Some(0..=ANY));
        assert_eq!(arity("circular_buffer.new"), Some(3..=4));
        assert_eq!(arity("nothing"), None);
    }
}
