//! Regular expressions as Heka's users wrote them: the dialect of RE2, over bytes.
//!
//! The syntax is almost that of the regex crate. What RE2 takes for itself and the crate does not
//! gets a backslash (`rewrite`); what means something else is replaced after parsing:
//!
//! - `\d` `\w` `\s` `\b` mean ASCII, and `\s` has no vertical tab;
//! - text need not be UTF-8: a repeated `.` or negated class (`.*`, `[^"]+`, `\S+`) also goes over
//!   bytes that are none. A single `.` takes one character, and such a byte is no character.

mod rewrite;

use std::ops::Range;

use regex_syntax::ast;
use regex_syntax::ast::Ast;
use regex_syntax::ast::ClassPerl;
use regex_syntax::ast::ClassPerlKind;
use regex_syntax::ast::ClassSet;
use regex_syntax::ast::ClassSetItem;
use regex_syntax::hir::Hir;
use regex_syntax::hir::translate::TranslatorBuilder;

use rewrite::rewrite;

/// How deep groups and repetitions may nest; what follows recurses as deep.
const MAX_NESTING: u32 = 60;

/// What is wrong with a regular expression.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
#[error("{reason}")]
pub struct DialectError {
    /// What is wrong.
    pub reason: String,
    /// Where, as bytes of the regular expression.
    pub span: Range<usize>,
}

/// Parses a regular expression in RE2's dialect.
///
/// The result matches bytes, not only UTF-8.
///
/// # Errors
/// When it is no regular expression, or nests too deep.
pub fn parse(pattern: &str) -> Result<Hir, DialectError> {
    let rewritten = rewrite(pattern);
    let place = |span: &ast::Span| rewritten.original(span.start.offset..span.end.offset);
    let mut tree = ast::parse::ParserBuilder::new()
        .nest_limit(MAX_NESTING)
        .build()
        .parse(&rewritten.text)
        .map_err(|error| refused(error.kind().to_string(), place(error.span())))?;
    adapt(&mut tree);
    TranslatorBuilder::new()
        .utf8(false)
        .build()
        .translate(&rewritten.text, &tree)
        .map_err(|error| refused(error.kind().to_string(), place(error.span())))
}

fn refused(reason: String, span: Range<usize>) -> DialectError {
    DialectError { reason, span }
}

/// Replaces what means something else in RE2; as deep as the parser lets patterns nest.
fn adapt(tree: &mut Ast) {
    match tree {
        Ast::ClassPerl(class) => *tree = ascii_class(class),
        Ast::ClassBracketed(class) => adapt_set(&mut class.kind),
        Ast::Assertion(assertion) if is_word_boundary(&assertion.kind) => without_unicode(tree),
        Ast::Repetition(repetition) => {
            let is_unbounded = is_unbounded(&repetition.op.kind);
            adapt(&mut repetition.ast);
            if is_unbounded && goes_over_bytes(&repetition.ast) {
                without_unicode(&mut repetition.ast);
            }
        }
        Ast::Group(group) => adapt(&mut group.ast),
        Ast::Alternation(alternation) => alternation.asts.iter_mut().for_each(adapt),
        Ast::Concat(concat) => concat.asts.iter_mut().for_each(adapt),
        _ => {}
    }
}

fn is_word_boundary(kind: &ast::AssertionKind) -> bool {
    matches!(kind, ast::AssertionKind::WordBoundary | ast::AssertionKind::NotWordBoundary)
}

fn is_unbounded(kind: &ast::RepetitionKind) -> bool {
    match kind {
        ast::RepetitionKind::ZeroOrMore | ast::RepetitionKind::OneOrMore => true,
        ast::RepetitionKind::Range(range) => {
            matches!(range, ast::RepetitionRange::AtLeast(0 | 1))
        }
        ast::RepetitionKind::ZeroOrOne => false,
    }
}

/// Tells whether a repeated class passes over any byte that is not ASCII.
fn goes_over_bytes(tree: &Ast) -> bool {
    match tree {
        Ast::Dot(_) => true,
        Ast::ClassBracketed(class) if class.negated => match &class.kind {
            ClassSet::Item(item) => is_ascii(item),
            ClassSet::BinaryOp(_) => false,
        },
        _ => false,
    }
}

fn is_ascii(item: &ClassSetItem) -> bool {
    match item {
        ClassSetItem::Empty(_) => true,
        ClassSetItem::Literal(literal) => literal.c.is_ascii(),
        ClassSetItem::Range(range) => range.start.c.is_ascii() && range.end.c.is_ascii(),
        ClassSetItem::Ascii(class) => !class.negated,
        ClassSetItem::Bracketed(class) => match &class.kind {
            ClassSet::Item(inner) => !class.negated && is_ascii(inner),
            ClassSet::BinaryOp(_) => false,
        },
        ClassSetItem::Union(union) => union.items.iter().all(is_ascii),
        ClassSetItem::Unicode(_) | ClassSetItem::Perl(_) => false,
    }
}

/// Wraps a node into `(?-u:…)`.
fn without_unicode(tree: &mut Ast) {
    let span = *tree.span();
    let item = |kind| ast::FlagsItem { span, kind };
    let off = vec![
        item(ast::FlagsItemKind::Negation),
        item(ast::FlagsItemKind::Flag(ast::Flag::Unicode)),
    ];
    let inner = std::mem::replace(tree, Ast::empty(span));
    *tree = Ast::group(ast::Group {
        span,
        kind: ast::GroupKind::NonCapturing(ast::Flags { span, items: off }),
        ast: Box::new(inner),
    });
}

/// The ASCII form of `\d`, `\w`, `\s` and their opposites.
fn ascii_class(class: &ClassPerl) -> Ast {
    Ast::class_bracketed(bracketed(class))
}

fn adapt_set(set: &mut ClassSet) {
    match set {
        ClassSet::Item(item) => adapt_item(item),
        ClassSet::BinaryOp(operation) => {
            adapt_set(&mut operation.lhs);
            adapt_set(&mut operation.rhs);
        }
    }
}

fn adapt_item(item: &mut ClassSetItem) {
    match item {
        ClassSetItem::Perl(class) => {
            *item = ClassSetItem::Bracketed(Box::new(bracketed(class)));
        }
        ClassSetItem::Bracketed(class) => adapt_set(&mut class.kind),
        ClassSetItem::Union(union) => union.items.iter_mut().for_each(adapt_item),
        _ => {}
    }
}

fn bracketed(class: &ClassPerl) -> ast::ClassBracketed {
    let ranges: &[(char, char)] = match class.kind {
        ClassPerlKind::Digit => &[('0', '9')],
        ClassPerlKind::Space => &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')],
        ClassPerlKind::Word => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
    };
    let span = class.span;
    let end = |c| ast::Literal { span, kind: ast::LiteralKind::Verbatim, c };
    let range = |&(from, to): &(char, char)| {
        ClassSetItem::Range(ast::ClassSetRange { span, start: end(from), end: end(to) })
    };
    let items = ranges.iter().map(range).collect();
    ast::ClassBracketed {
        span,
        negated: class.negated,
        kind: ClassSet::Item(ClassSetItem::Union(ast::ClassSetUnion { span, items })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &[u8], expected: bool) {
        let regex =
            regex_automata::meta::Builder::new().build_from_hir(&parse(pattern).unwrap()).unwrap();
        assert_eq!(regex.is_match(text), expected, "{pattern} in {text:?}");
    }

    #[test]
    fn classes_are_ascii() {
        check(r"^\d$", "٣".as_bytes(), false);
        check(r"^\w+$", "né".as_bytes(), false);
        check(r"^[\w-]+$", b"a-b", true);
        check(r"^[^\w]+$", "é".as_bytes(), true);
        check(r"n\b", "né".as_bytes(), true);
        check(r"\s", b"\x0b", false);
        check(r"^\D$", "é".as_bytes(), true);
    }

    #[test]
    fn repetitions_go_over_bytes_that_are_not_text() {
        check("a.*b", b"a\xff\xfeb", true);
        check("a[^\"]+b", b"a\xffb", true);
        check(r"a\S+b", b"a\xffb", true);
        check("a.+b", b"a\nb", false);
        check("^.$", "é".as_bytes(), true);
        check("^..$", "é".as_bytes(), false);
        check("^[^é]*$", "é".as_bytes(), false);
    }

    #[test]
    fn quotes_are_literal() {
        check(r"^\Qa.b\E.$", b"a.bc", true);
        check(r"^\Qa.b\E.$", b"axbc", false);
        check(r"\Q[x", b"[x", true);
        check(r"^\\Q$", b"\\Q", true);
    }

    #[test]
    fn errors_have_their_place() {
        let error = parse("foo(bar").unwrap_err();
        assert_eq!((error.reason.as_str(), error.span), ("unclosed group", 3..4));
        assert_eq!(parse("{é[[]foo(bar").unwrap_err().span, 9..10);
        assert!(parse(&"(".repeat(10_000)).is_err());
        assert!(parse(&("(".repeat(10_000) + &")".repeat(10_000))).is_err());
    }
}
