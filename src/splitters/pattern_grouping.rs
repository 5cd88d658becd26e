//! `PatternGroupingSplitter`: neighbouring lines that match a pattern are one record.

use anyhow::Context;
use regex_automata::meta;
use schemars::JsonSchema;
use serde::Deserialize;

use super::delimiter::Delimiter;
use super::delimiter::Search;
use crate::matcher;
use crate::plugin::Cut;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Form;
use crate::plugin::Splitter;
use crate::plugin::Splitting;

/// Splits at a delimiter and puts neighbouring lines that match a pattern into one record, as those
/// of a traceback.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatternGroupingSplitter {
    /// What stands between lines, a regular expression in RE2's dialect. What a group captures of
    /// it stays at the end of the line.
    #[serde(default = "newline")]
    delimiter: String,
    /// What lines match that belong together, a regular expression in RE2's dialect.
    grouping: String,
    /// The most lines in one record.
    #[serde(default = "max_lines")]
    #[schemars(range(min = 1))]
    max_lines: std::num::NonZeroU32,
}

fn newline() -> String {
    "\n".to_owned()
}

fn max_lines() -> std::num::NonZeroU32 {
    std::num::NonZeroU32::new(99).unwrap_or(std::num::NonZeroU32::MIN)
}

impl Described for PatternGroupingSplitter {
    const NAME: &'static str = "PatternGroupingSplitter";
    const ABOUT: &'static str = "Puts neighbouring lines that match a pattern into one record.";
    const EXAMPLE: &'static str = "\
[PatternGroupingSplitter]
grouping = '(\\] FATAL)|(\\A\\s*.+Exception: .)|(at \\S+\\(\\S+\\))|(\\A\\s+... \\d+ more)'
";
}

impl Splitter for PatternGroupingSplitter {
    fn start(&self, _engine: &Engine) -> anyhow::Result<Box<dyn Splitting>> {
        let search = Delimiter::compile(&self.delimiter)?.search();
        let grouping = matcher::parse_pattern(&self.grouping)
            .context("grouping is no regular expression")
            .and_then(|hir| Ok(meta::Regex::builder().build_from_hir(&hir)?))?;
        let max_lines = self.max_lines.get();
        Ok(Box::new(Groups {
            search,
            grouping,
            max_lines,
            open: Lines::default(),
            next: Vec::new(),
        }))
    }
}

struct Groups {
    search: Search,
    grouping: meta::Regex,
    max_lines: u32,
    open: Lines,
    /// The line behind the last group, which is known not to match.
    next: Vec<u8>,
}

/// The lines of a group so far.
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    count: u32,
    /// Where the last one ends.
    end: usize,
    /// Where its delimiter ends.
    consumed: usize,
}

impl Splitting for Groups {
    fn cut(&mut self, bytes: &[u8], is_end: bool) -> Cut {
        loop {
            let start = self.open.consumed;
            let (end, consumed) = match self.search.find(bytes, is_end) {
                Some(found) => {
                    let end = found.captured.map_or(found.whole.start, |captured| captured.end);
                    (end, found.whole.end)
                }
                None if !is_end => return Cut::More,
                None if start == bytes.len() => return self.close(),
                None => (bytes.len(), bytes.len()),
            };
            let is_member = self.is_member(bytes, start, end, consumed);
            if !is_member && self.open.count > 0 {
                self.next.extend_from_slice(&bytes[start..consumed]);
                return self.close();
            }
            self.open = Lines { count: self.open.count + 1, end, consumed };
            if !is_member || self.open.count == self.max_lines {
                return self.close();
            }
            self.search.restart(consumed);
        }
    }

    fn forget(&mut self) {
        self.search.restart(0);
        self.open = Lines::default();
        self.next.clear();
    }
}

impl Groups {
    /// Tells whether a line belongs to a group; each line is tested once.
    fn is_member(&mut self, bytes: &[u8], start: usize, end: usize, consumed: usize) -> bool {
        let is_known = !self.next.is_empty() && self.next == bytes[start..consumed];
        self.next.clear();
        !is_known && self.grouping.is_match(&bytes[start..end])
    }

    fn close(&mut self) -> Cut {
        let Lines { end, consumed, .. } = std::mem::take(&mut self.open);
        self.search.restart(0);
        if end == 0 {
            return Cut::Skip { consumed, lost: None };
        }
        Cut::Record { record: 0..end, consumed, form: Form::Payload, signer: None }
    }
}
