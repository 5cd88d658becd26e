//! `GrokDecoder`: lines taken apart by patterns with names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use regex_automata::util::captures::Captures;
use schemars::JsonSchema;
use serde::Deserialize;

use super::columns::Columns;
use super::envelope;
use super::time_layout;
use super::time_layout::TimeLayout;
use crate::formats::grok;
use crate::formats::grok::Grok;
use crate::message::Batch;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Record;

/// Takes lines apart with grok expressions; the first that matches counts.
///
/// What is captured under the names `Timestamp`, `Type`, `Logger`, `Severity`, `Payload`,
/// `EnvVersion`, `Pid` and `Hostname` goes into the header, the rest becomes fields: text, or what
/// is asked for, as in `%{NUMBER:bytes:int}`. A name may have a representation behind a bar,
/// `%{NUMBER:bytes|B:int}`. A number that is `-` is left out. Patterns cannot look around.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrokDecoder {
    /// The expressions, in the order in which they are tried.
    r#match: Vec<String>,
    /// Patterns of your own, by name; they go before those that are known.
    #[serde(default)]
    patterns: BTreeMap<String, String>,
    /// Files of patterns, a name and a pattern on each line, below `share_dir` where the path is
    /// relative.
    #[serde(default)]
    pattern_files: Vec<PathBuf>,
    /// How `Timestamp` is written: a layout of Go, `Epoch`, `EpochMilli`, `EpochMicro`, `EpochNano`,
    /// or a pattern of strftime. The usual layouts are tried too.
    #[serde(default)]
    timestamp_layout: String,
    /// The zone of times that name none, as `Europe/Berlin`.
    #[serde(default = "time_layout::utc")]
    tz: String,
    /// The numbers that words of severity stand for; the usual words are known.
    #[serde(default)]
    severity_map: BTreeMap<String, i32>,
    /// The type of the messages; that of the input where it is left out.
    #[serde(default)]
    message_type: Option<String>,
    /// Whether the line is kept as payload, where the expression captures none.
    #[serde(default)]
    payload_keep: bool,
}

impl Described for GrokDecoder {
    const NAME: &'static str = "GrokDecoder";
    const ABOUT: &'static str = "Takes lines apart with grok expressions into typed fields.";
    const EXAMPLE: &'static str = "\
[GrokDecoder]
match = ['^%{TIMESTAMP_ISO8601:Timestamp} %{LOGLEVEL:Severity} %{QUEUE:queue} %{NUMBER:took|ms:float}']

[GrokDecoder.patterns]
QUEUE = '[A-Z]{2}\\d+'
";
}

impl Decoder for GrokDecoder {
    fn start(&self, cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        let mut patterns = BTreeMap::new();
        for path in self.files(cx.engine) {
            let failed = || format!("cannot read patterns from {}", path.display());
            let text = std::fs::read_to_string(&path).with_context(failed)?;
            grok::read_patterns(&text, &mut patterns).with_context(failed)?;
        }
        patterns.extend(self.patterns.clone());
        let zone = time_layout::zone("tz", &self.tz)?;
        let layout = TimeLayout::compile(&self.timestamp_layout, zone)?;
        let mut expressions = Vec::new();
        for written in &self.r#match {
            let grok = Grok::compile(written, &patterns)
                .with_context(|| format!("cannot use {written:?} in `match`"))?;
            let mut columns = Columns::new(layout.clone());
            columns.severities = self.severity_map.clone();
            columns.message_type.clone_from(&self.message_type);
            columns.payload_keep = self.payload_keep;
            for captured in grok.captured() {
                columns.add(&captured.name, captured.kind);
            }
            expressions.push(Expression { room: grok.room(), grok, columns });
        }
        if expressions.is_empty() {
            bail!("`match` has no expression");
        }
        Ok(Box::new(Expressions { expressions, inner: envelope::Inner::default() }))
    }

    fn files(&self, engine: &Engine) -> Vec<PathBuf> {
        self.pattern_files.iter().map(|path| engine.share_dir.join(path)).collect()
    }
}

struct Expressions {
    expressions: Vec<Expression>,
    inner: envelope::Inner,
}

struct Expression {
    grok: Grok,
    room: Captures,
    columns: Columns,
}

impl Decoding for Expressions {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let line = envelope::without_line_end(record.bytes);
        for Expression { grok, room, columns } in &mut self.expressions {
            if grok.matches(line, room) {
                let captured = grok.captured();
                let value = |index: usize| {
                    room.get_group(captured[index].group).map(|at| &line[at.start..at.end])
                };
                return columns.write(record, line, &value, out);
            }
        }
        let start = String::from_utf8_lossy(&line[..line.len().min(100)]);
        bail!("no expression of `match` matches {start:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::super::tests::check_refused;

    #[test]
    fn first_expression_that_matches_gives_header_and_fields() {
        let settings = "[GrokDecoder]\nmatch = ['^%{TIMESTAMP_ISO8601:Timestamp} %{LOGLEVEL:Severity} \
                        \\[%{POSINT:Pid}\\] %{ID:id} (?:-|%{INT:size|B:int}) %{NUMBER:t|s:float}$', \
                        '^%{GREEDYDATA:Payload}$']\nmessage_type = 'app'\ntz = 'Europe/Berlin'\n\
                        [GrokDecoder.patterns]\nID = 'x\\d'\n";
        check(
            settings,
            "GrokDecoder",
            "2026-11-22 16:33:21,500 WARN [77] x1 42 0.25\r\n",
            "time 1500000000\ntype app\nfrom logger host\nseverity 4\npid 77\nid \"x1\"\n\
             size[B] 42\nt[s] 0.25f\nextra 1\n",
        );
        check(
            settings,
            "GrokDecoder",
            "something else\n",
            "time 0\ntype app\nfrom logger host\npayload something else\nextra 1\n",
        );
    }

    #[test]
    fn line_that_nothing_matches_is_an_error() {
        check(
            "[GrokDecoder]\nmatch = ['^%{INT:n:int}$']",
            "GrokDecoder",
            "x\n",
            "error: no expression of `match` matches \"x\"\n",
        );
        check(
            "[GrokDecoder]\nmatch = ['%{WORD:Severity}']",
            "GrokDecoder",
            "purple\n",
            "error: \"purple\" is no severity that is known\n",
        );
    }

    #[test]
    fn mistakes_are_told_at_start() {
        check_refused("[GrokDecoder]\nmatch = []", "GrokDecoder", "`match` has no expression");
        check_refused("[GrokDecoder]\nmatch = ['%{NOPE}']", "GrokDecoder", "there is no pattern");
        check_refused(
            "[GrokDecoder]\nmatch = ['x']\npattern_files = ['/nonexistent']",
            "GrokDecoder",
            "cannot read patterns from /nonexistent",
        );
    }
}
