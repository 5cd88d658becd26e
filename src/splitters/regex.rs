//! `RegexSplitter`: a regular expression ends each record.

use schemars::JsonSchema;
use serde::Deserialize;

use super::delimiter::Delimiter;
use super::delimiter::Search;
use crate::plugin::Cut;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Form;
use crate::plugin::Splitter;
use crate::plugin::Splitting;

/// Ends a record where a regular expression matches.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegexSplitter {
    /// What stands between records, in RE2's dialect. What a group captures of it is kept with a
    /// record, the rest is dropped; one group at most.
    #[serde(default = "newline")]
    delimiter: String,
    /// Whether what is captured is the end of the record before it, not the start of the next.
    #[serde(default = "is_true")]
    delimiter_eol: bool,
}

fn newline() -> String {
    "\n".to_owned()
}

fn is_true() -> bool {
    true
}

impl Described for RegexSplitter {
    const NAME: &'static str = "RegexSplitter";
    const ABOUT: &'static str = "Ends a record where a regular expression matches.";
    const EXAMPLE: &'static str =
        "[RegexSplitter]\ndelimiter = '\\n(\\[\\d{4}-\\d\\d-\\d\\d)'\ndelimiter_eol = false\n";

    fn check(&self) -> anyhow::Result<()> {
        Delimiter::compile(&self.delimiter).map(drop)
    }
}

impl Splitter for RegexSplitter {
    fn start(&self, _engine: &Engine) -> anyhow::Result<Box<dyn Splitting>> {
        let search = Delimiter::compile(&self.delimiter)?.search();
        Ok(Box::new(Matches { search, delimiter_eol: self.delimiter_eol }))
    }
}

struct Matches {
    search: Search,
    delimiter_eol: bool,
}

impl Splitting for Matches {
    fn cut(&mut self, bytes: &[u8], is_end: bool) -> Cut {
        loop {
            let Some(found) = self.search.find(bytes, is_end) else {
                return if is_end { self.record(bytes.len(), bytes.len()) } else { Cut::More };
            };
            let whole = found.whole;
            let captured = found.captured;
            if self.delimiter_eol {
                let end = captured.map_or(whole.start, |captured| captured.end);
                return self.record(end, whole.end);
            }
            // What the last delimiter left at the start of this record may match again.
            if whole.start == 0 && captured.is_some() {
                self.search.restart(whole.end);
                continue;
            }
            return self.record(whole.start, captured.map_or(whole.end, |captured| captured.start));
        }
    }

    fn forget(&mut self) {
        self.search.restart(0);
    }
}

impl Matches {
    fn record(&mut self, end: usize, consumed: usize) -> Cut {
        self.search.restart(0);
        if end == 0 {
            return Cut::Skip { consumed, lost: None };
        }
        Cut::Record { record: 0..end, consumed, form: Form::Payload, signer: None }
    }
}
