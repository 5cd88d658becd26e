//! A delimiter given as a regular expression, searched for in a stream.
//!
//! Where a delimiter ends may depend on bytes that are not there yet (`\n+`), so a match counts only
//! when no more bytes could change it; records are then the same however the stream comes.
//!
//! - A delimiter of bounded length M that looks at nothing around it is found by an ordinary search,
//!   which goes on M - 1 bytes before the end of what it has seen.
//! - Any other is searched for by an automaton that goes over each byte once and keeps its state.
//! - A match near the end is final when the automaton says that every next byte would leave it so.

use std::sync::Arc;

use anyhow::Context;
use anyhow::bail;
use regex_automata::Anchored;
use regex_automata::Input;
use regex_automata::MatchKind;
use regex_automata::Span;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::Cache;
use regex_automata::hybrid::dfa::DFA;
use regex_automata::meta;
use regex_automata::nfa::thompson;
use regex_automata::util::captures::Captures;
use regex_syntax::hir::Hir;

use crate::matcher;

/// One automaton may take so much memory for each stream, in bytes.
const MAX_AUTOMATON: usize = 256 * 1024;

/// A compiled delimiter.
#[derive(Clone, Debug)]
pub(super) struct Delimiter {
    regex: meta::Regex,
    automaton: Arc<DFA>,
    /// The longest match, where that is bounded and nothing around it counts.
    longest: Option<usize>,
}

/// A delimiter that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// All of it.
    pub(super) whole: Span,
    /// What its group captured.
    pub(super) captured: Option<Span>,
}

/// A search for a delimiter, which goes on where it stopped.
pub(super) struct Search {
    delimiter: Delimiter,
    captures: Captures,
    cache: Cache,
    /// Where the search goes on; nothing that begins before is a match.
    resume: usize,
    /// The automaton, in the middle of an unbounded search.
    state: Option<State>,
}

/// How far an automaton has come.
#[derive(Clone, Copy)]
struct State {
    id: LazyStateID,
    /// The next byte.
    at: usize,
    /// Where the match ends that may still change.
    end: Option<usize>,
}

impl Delimiter {
    /// Compiles a delimiter in RE2's dialect.
    ///
    /// # Errors
    /// When it is no regular expression, has more than one group, or matches nothing at all.
    pub(super) fn compile(pattern: &str) -> anyhow::Result<Delimiter> {
        let hir = matcher::parse_pattern(pattern).context("delimiter is no regular expression")?;
        let properties = hir.properties();
        if properties.explicit_captures_len() > 1 {
            bail!("delimiter has more than one group; write (?:…) for those that capture nothing");
        }
        if properties.minimum_len() == Some(0) {
            bail!("delimiter matches nothing at all, so every place is one");
        }
        if properties.minimum_len().is_none() {
            bail!("delimiter matches nothing");
        }
        let looks_around = !properties.look_set().is_empty();
        Ok(Delimiter {
            regex: meta::Regex::builder().build_from_hir(&hir).context("delimiter is too large")?,
            automaton: Arc::new(automaton(&hir)?),
            longest: properties.maximum_len().filter(|_| !looks_around),
        })
    }

    /// A search in a stream.
    pub(super) fn search(&self) -> Search {
        Search {
            captures: self.regex.create_captures(),
            cache: self.automaton.create_cache(),
            delimiter: self.clone(),
            resume: 0,
            state: None,
        }
    }
}

fn automaton(hir: &Hir) -> anyhow::Result<DFA> {
    let config = thompson::Config::new()
        .utf8(false)
        .which_captures(thompson::WhichCaptures::None)
        .nfa_size_limit(Some(MAX_AUTOMATON));
    let nfa = thompson::Compiler::new()
        .configure(config)
        .build_from_hir(hir)
        .context("delimiter is too large")?;
    DFA::builder()
        .configure(
            DFA::config()
                .match_kind(MatchKind::LeftmostFirst)
                .cache_capacity(MAX_AUTOMATON)
                .skip_cache_capacity_check(true),
        )
        .build_from_nfa(nfa)
        .context("delimiter cannot be searched for in a stream")
}

impl Search {
    /// Begins a new search at `from`.
    pub(super) fn restart(&mut self, from: usize) {
        self.resume = from;
        self.state = None;
    }

    /// Finds the first delimiter; `None` when it takes more bytes to tell, or at the end of the
    /// stream when there is none. Called again it goes on with the same bytes and those behind.
    pub(super) fn find(&mut self, bytes: &[u8], is_end: bool) -> Option<Found> {
        match self.delimiter.longest {
            Some(longest) => self.find_bounded(bytes, longest, is_end),
            None => self.find_unbounded(bytes, is_end),
        }
    }

    fn find_bounded(&mut self, bytes: &[u8], longest: usize, is_end: bool) -> Option<Found> {
        let from = self.resume.min(bytes.len());
        // A match that begins here or later may be another when more bytes come.
        let undecided = (bytes.len() + 1).saturating_sub(longest).max(from);
        let found = self.captured(bytes, from);
        self.resume = found.as_ref().map_or(undecided, |found| found.whole.start.min(undecided));
        let found = found?;
        let is_final = is_end
            || found.whole.start + longest <= bytes.len()
            || self.final_end(bytes, self.resume) == Some(found.whole.end);
        is_final.then_some(found)
    }

    fn find_unbounded(&mut self, bytes: &[u8], is_end: bool) -> Option<Found> {
        let from = self.resume.min(bytes.len());
        if is_end {
            return self.captured(bytes, from);
        }
        let mut state = match self.state {
            Some(state) => state,
            None => self.begin(bytes, from)?,
        };
        let is_over = self.advance(bytes, &mut state);
        self.state = Some(state);
        let end = if is_over { state.end } else { self.settled(&state, bytes.len()) };
        end.and_then(|_| self.captured(bytes, from))
    }

    /// Where the match ends that a fresh run of the automaton finds, if no more bytes change it.
    fn final_end(&mut self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut state = self.begin(bytes, from)?;
        if self.advance(bytes, &mut state) {
            return state.end;
        }
        self.settled(&state, bytes.len())
    }

    fn begin(&mut self, bytes: &[u8], from: usize) -> Option<State> {
        let input = Input::new(bytes).range(from..).anchored(Anchored::No);
        let id = self.delimiter.automaton.start_state_forward(&mut self.cache, &input).ok()?;
        Some(State { id, at: from, end: None })
    }

    /// Runs the automaton over the bytes it has not seen; `true` when nothing can change any more.
    /// It tells a match one byte late.
    fn advance(&mut self, bytes: &[u8], state: &mut State) -> bool {
        let automaton = &self.delimiter.automaton;
        while let Some(&byte) = bytes.get(state.at) {
            let Ok(id) = automaton.next_state(&mut self.cache, state.id, byte) else { return true };
            state.id = id;
            if id.is_tagged() {
                if id.is_dead() || id.is_quit() {
                    return true;
                }
                if id.is_match() {
                    state.end = Some(state.at);
                }
            }
            state.at += 1;
        }
        false
    }

    /// Where the match ends if every next byte leaves it so.
    fn settled(&mut self, state: &State, length: usize) -> Option<usize> {
        let automaton = self.delimiter.automaton.clone();
        let clears = self.cache.clear_count();
        let mut settled = None;
        for first in automaton.byte_classes().representatives(..=u8::MAX) {
            let first = first.as_u8()?;
            let next = automaton.next_state(&mut self.cache, state.id, first).ok()?;
            let end = if next.is_dead() {
                state.end?
            } else if next.is_match() {
                for second in automaton.byte_classes().representatives(..=u8::MAX) {
                    let after =
                        automaton.next_state(&mut self.cache, next, second.as_u8()?).ok()?;
                    if !after.is_dead() {
                        return self.checked(clears, None);
                    }
                }
                length
            } else {
                return self.checked(clears, None);
            };
            if settled.is_some_and(|known| known != end) {
                return self.checked(clears, None);
            }
            settled = Some(end);
        }
        self.checked(clears, settled)
    }

    /// Gives `answer`, unless the automaton has dropped its states while it was looked for; the
    /// search then begins again, with the next bytes.
    fn checked(&mut self, clears: usize, answer: Option<usize>) -> Option<usize> {
        if self.cache.clear_count() == clears {
            return answer;
        }
        self.state = None;
        None
    }

    fn captured(&mut self, bytes: &[u8], from: usize) -> Option<Found> {
        let input = Input::new(bytes).range(from..);
        self.delimiter.regex.search_captures(&input, &mut self.captures);
        let whole = self.captures.get_match()?.span();
        Some(Found { whole, captured: self.captures.get_group(1) })
    }
}
