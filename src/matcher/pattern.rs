//! A compiled regular expression, or what is quicker and says the same.

use std::fmt;
use std::fmt::Formatter;

use memchr::memmem::Finder;
use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::hir::Hir;
use regex_syntax::hir::HirKind;
use regex_syntax::hir::Look;
use regex_syntax::hir::literal::ExtractKind;
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::literal::Seq;

use super::dialect;
use super::dialect::DialectError;

/// One regular expression may take so much memory, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// A regular expression that is searched anywhere in a text.
#[derive(Clone)]
pub(super) struct Pattern {
    source: Box<str>,
    matching: Matching,
}

/// How a pattern is matched.
#[derive(Clone)]
pub(super) enum Matching {
    /// Everything matches.
    Always,
    /// `/^literal$/`
    Equal(Box<[u8]>),
    /// `/^literal/`
    Prefix(Box<[u8]>),
    /// `/literal$/`
    Suffix(Box<[u8]>),
    /// `/literal/`
    Contains(Box<Finder<'static>>),
    /// Anything else.
    Regex { regex: Box<meta::Regex>, required: Option<Box<[Box<[u8]>]>> },
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.source)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.source == other.source
    }
}

impl Pattern {
    /// Compiles a regular expression in RE2's dialect, into at most `budget` bytes, which it takes
    /// what it needs from.
    pub(super) fn compile(source: &str, budget: &mut usize) -> Result<Pattern, DialectError> {
        let hir = dialect::parse(source)?;
        let parts = parts(&hir);
        let matching = match simple(&parts) {
            Some(simple) => simple,
            None => compiled(&Hir::concat(parts), budget)
                .map_err(|reason| DialectError { reason, span: 0..source.len() })?,
        };
        Ok(Pattern { source: source.into(), matching })
    }

    /// How the pattern is matched.
    pub(super) fn matching(&self) -> &Matching {
        &self.matching
    }

    /// Tells whether the pattern occurs in `text`.
    #[inline]
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        match &self.matching {
            Matching::Prefix(literal) => text.starts_with(literal),
            Matching::Suffix(literal) => text.ends_with(literal),
            Matching::Contains(finder) => finder.find(text).is_some(),
            Matching::Equal(literal) => text == &**literal,
            Matching::Regex { regex, .. } => regex.is_match(text),
            Matching::Always => true,
        }
    }
}

/// The parts of an expression, without those at its ends that match anything and nothing.
fn parts(hir: &Hir) -> Vec<Hir> {
    let mut inner = hir;
    while let HirKind::Capture(capture) = inner.kind() {
        inner = &capture.sub;
    }
    let mut parts = match inner.kind() {
        HirKind::Concat(parts) => parts.clone(),
        HirKind::Empty => Vec::new(),
        _ => vec![inner.clone()],
    };
    while parts.last().is_some_and(matches_nothing) {
        parts.pop();
    }
    let begin = parts.iter().take_while(|part| matches_nothing(part)).count();
    parts.drain(..begin);
    parts
}

/// Tells whether the part can match the empty text, wherever it stands.
fn matches_nothing(part: &Hir) -> bool {
    part.properties().minimum_len() == Some(0) && part.properties().look_set().is_empty()
}

/// The form of a pattern that needs no regular expression.
fn simple(parts: &[Hir]) -> Option<Matching> {
    let literal = |part: &Hir| match part.kind() {
        HirKind::Literal(literal) => Some(literal.0.clone()),
        _ => None,
    };
    let is = |part: &Hir, look| matches!(part.kind(), HirKind::Look(found) if *found == look);
    match parts {
        [] => Some(Matching::Always),
        [only] if is(only, Look::Start) || is(only, Look::End) => Some(Matching::Always),
        [only] => Some(Matching::Contains(Box::new(Finder::new(&literal(only)?).into_owned()))),
        [start, end] if is(start, Look::Start) && is(end, Look::End) => {
            Some(Matching::Equal(Box::default()))
        }
        [start, text] if is(start, Look::Start) => Some(Matching::Prefix(literal(text)?)),
        [text, end] if is(end, Look::End) => Some(Matching::Suffix(literal(text)?)),
        [start, text, end] if is(start, Look::Start) && is(end, Look::End) => {
            Some(Matching::Equal(literal(text)?))
        }
        _ => None,
    }
}

fn compiled(hir: &Hir, budget: &mut usize) -> Result<Matching, String> {
    let limit = MAX_BYTES.min(*budget);
    let config = meta::Config::new()
        .utf8_empty(false)
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(limit));
    let too_large = || format!("regular expression takes more than {limit} bytes of memory");
    let regex = meta::Builder::new().configure(config).build_from_hir(hir).map_err(|error| {
        if error.size_limit().is_some() { too_large() } else { error.to_string() }
    })?;
    *budget = budget.checked_sub(regex.memory_usage()).ok_or_else(too_large)?;
    Ok(Matching::Regex { regex: Box::new(regex), required: required(hir) })
}

/// Literals of which every text that matches contains at least one, as telling as can be found.
fn required(hir: &Hir) -> Option<Box<[Box<[u8]>]>> {
    /// Shorter ones are found everywhere.
    const MIN_BYTES: usize = 3;
    /// With more of them the search costs more than it saves.
    const MAX_LITERALS: usize = 16;
    let extract = |hir: &Hir, kind: ExtractKind| {
        Extractor::new().kind(kind).limit_total(MAX_LITERALS).extract(hir)
    };
    let parts: &[Hir] = match hir.kind() {
        HirKind::Concat(parts) => parts,
        _ => &[],
    };
    // What follows a part belongs to the literals that begin with it.
    let tails = (1..parts.len()).map(|from| Hir::concat(parts[from..].to_vec()));
    let mut found = vec![extract(hir, ExtractKind::Prefix), extract(hir, ExtractKind::Suffix)];
    found.extend(tails.take(MAX_LITERALS).map(|tail| extract(&tail, ExtractKind::Prefix)));
    let telling = |seq: &Seq| seq.min_literal_len().filter(|len| *len >= MIN_BYTES);
    let best = found
        .iter()
        .filter(|seq| seq.len().is_some_and(|count| (1..=MAX_LITERALS).contains(&count)))
        .filter(|seq| telling(seq).is_some())
        .max_by_key(|seq| (telling(seq).map(|len| len.min(8)), std::cmp::Reverse(seq.len())))?;
    let literals = best.literals()?;
    Some(literals.iter().map(|literal| Box::from(literal.as_bytes())).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(source: &str, form: &str, text: &[u8], expected: bool) {
        let pattern = Pattern::compile(source, &mut 8_000_000).unwrap();
        let found = match pattern.matching {
            Matching::Always => "Always",
            Matching::Equal(_) => "Equal",
            Matching::Prefix(_) => "Prefix",
            Matching::Suffix(_) => "Suffix",
            Matching::Contains(_) => "Contains",
            Matching::Regex { .. } => "Regex",
        };
        assert_eq!(found, form, "{source}");
        assert_eq!(pattern.is_in(text), expected, "{source} in {text:?}");
    }

    #[test]
    fn literals_need_no_regular_expression() {
        check("^GET ", "Prefix", b"GET /", true);
        check("^GET .*", "Prefix", b"GET /", true);
        check(r"\.html$", "Suffix", b"a.html", true);
        check(".*timeout.*", "Contains", b"a timeout b", true);
        check("(timeout)", "Contains", b"a time", false);
        check("^a/b$", "Equal", b"a/b", true);
        check(r"^\/a", "Prefix", b"/a", true);
        check("", "Always", b"", true);
        check("^$", "Equal", b"x", false);
        check("a|b", "Regex", b"xbx", true);
    }

    #[test]
    fn required_literals_are_the_telling_ones() {
        let literals = |source: &str| {
            let pattern = Pattern::compile(source, &mut 8_000_000).unwrap();
            let Matching::Regex { required, .. } = pattern.matching else { return None };
            required.map(|all| {
                all.iter().map(|one| String::from_utf8_lossy(one).into_owned()).collect::<Vec<_>>()
            })
        };
        assert_eq!(literals(r"^\d+ GET /index"), Some(vec![" GET /index".to_owned()]));
        assert_eq!(literals("time ?out|refused").map(|all| all.len()), Some(3));
        assert_eq!(literals(r"^\d+$"), None);
        assert_eq!(literals("a|b"), None);
    }

    #[test]
    fn memory_is_bounded() {
        assert!(Pattern::compile(r"\pL{5000}", &mut 8_000_000).is_err());
        assert!(Pattern::compile(r"\pL{5}x", &mut 100).is_err());
    }

    proptest! {
        #[test]
        fn every_form_says_what_the_regular_expression_says(
            parts in prop::collection::vec(prop::sample::select(vec![
                "a", "b", "abc", "cab", ".", ".*", "*", "+", "?", "|", "(", ")", "^", "$", "[ab]",
                "[^a]+", "{2}", "\\b", "(?i)", "(?m)", "(?s)",
            ]), 0..8),
            texts in prop::collection::vec("[abc\nA]{0,8}", 1..8),
        ) {
            let source = parts.concat();
            let Ok(pattern) = Pattern::compile(&source, &mut 8_000_000) else { return Ok(()) };
            let regex = regex::bytes::Regex::new(&source).unwrap();
            for text in &texts {
                let text = text.as_bytes();
                prop_assert_eq!(pattern.is_in(text), regex.is_match(text), "{} {:?}", source, text);
                if let Matching::Regex { required: Some(literals), .. } = &pattern.matching {
                    let has_one =
                        literals.iter().any(|one| memchr::memmem::find(text, one).is_some());
                    prop_assert!(has_one || !regex.is_match(text), "{} {:?}", source, literals);
                }
            }
        }

        #[test]
        fn any_pattern_is_answered(source in r"[\[\](){}|*+?^$.\\a-cQEpPx,0-3\&~:é-]{0,24}") {
            if let Err(error) = Pattern::compile(&source, &mut 8_000_000) {
                prop_assert!(source.get(error.span.clone()).is_some(), "{:?}", error);
            }
        }
    }
}
