//! `PayloadRegexDecoder`: a regular expression takes a record apart.

use std::collections::BTreeMap;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;
use regex_automata::Input;
use regex_automata::PatternID;
use regex_automata::meta;
use regex_automata::util::captures::Captures;
use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope;
use super::envelope::Envelope;
use super::message_fields;
use super::message_fields::Filled;
use super::message_fields::MessageFields;
use super::time_layout;
use super::time_layout::TimeLayout;
use crate::matcher;
use crate::message::Batch;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Quiet;
use crate::plugin::Record;

/// Takes a record apart with a regular expression and makes fields of what its groups capture.
///
/// A group called `Timestamp` is the time of the message, one called `Severity` its severity.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PayloadRegexDecoder {
    /// The regular expression, in RE2's dialect, with named groups: `(?P<Name>…)`.
    match_regex: String,
    /// The numbers that words of severity stand for.
    #[serde(default)]
    severity_map: BTreeMap<String, i32>,
    /// What is set: `Type`, `Logger`, `Hostname`, `Payload`, `Severity`, `EnvVersion`, `Pid`, `Uuid`,
    /// or the name of a field, with its representation behind a bar (`"Time|s"`). `%Name%` in the
    /// text is what the group of that name captured.
    #[serde(default)]
    message_fields: BTreeMap<String, String>,
    /// How `Timestamp` is written: a layout of Go, `Epoch`, `EpochMilli`, `EpochMicro`, `EpochNano`,
    /// or a pattern of strftime. The usual layouts of Go are tried too.
    #[serde(default)]
    timestamp_layout: String,
    /// The zone of times that name none, as `Europe/Berlin`.
    #[serde(default = "time_layout::utc")]
    timestamp_location: String,
    /// Whether records that do not match are logged.
    #[serde(default = "is_true")]
    log_errors: bool,
}

fn is_true() -> bool {
    true
}

impl Described for PayloadRegexDecoder {
    const NAME: &'static str = "PayloadRegexDecoder";
    const ABOUT: &'static str = "Takes a record apart with a regular expression.";
    const EXAMPLE: &'static str = "\
[PayloadRegexDecoder]
match_regex = '^(?P<Timestamp>\\S+) (?P<Severity>\\w+) (?P<Rest>.*)'
timestamp_layout = \"2006-01-02T15:04:05Z07:00\"

[PayloadRegexDecoder.severity_map]
ERROR = 3
INFO = 6

[PayloadRegexDecoder.message_fields]
Type = \"app\"
Payload = \"%Rest%\"
";
}

impl Decoder for PayloadRegexDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        let regex = matcher::parse_pattern(&self.match_regex)
            .map_err(anyhow::Error::from)
            .and_then(|hir| Ok(meta::Regex::builder().build_from_hir(&hir)?))
            .context("cannot use `match_regex`")?;
        let names: Vec<(String, usize)> = regex
            .group_info()
            .pattern_names(PatternID::ZERO)
            .enumerate()
            .filter_map(|(index, name)| Some((name?.to_owned(), index)))
            .collect();
        if names.is_empty() {
            bail!("`match_regex` has no named group, as in (?P<Name>…)");
        }
        let group =
            |wanted: &str| names.iter().find(|(name, _)| name == wanted).map(|(_, index)| *index);
        let fields = MessageFields::read(&self.message_fields)?;
        if let Some(unknown) = fields.names().find(|name| group(name).is_none()) {
            bail!("message_fields use %{unknown}%, and `match_regex` has no group of that name");
        }
        let zone = time_layout::zone("timestamp_location", &self.timestamp_location)?;
        Ok(Box::new(Matches {
            captures: regex.create_captures(),
            timestamp: group("Timestamp"),
            severity: group("Severity"),
            regex,
            names,
            fields,
            filled: Filled::default(),
            layout: TimeLayout::compile(&self.timestamp_layout, zone)?,
            severities: self.severity_map.clone(),
            log_errors: self.log_errors,
            inner: envelope::Inner::default(),
        }))
    }
}

struct Matches {
    regex: meta::Regex,
    captures: Captures,
    /// The named groups, with their numbers.
    names: Vec<(String, usize)>,
    /// The group called `Timestamp`.
    timestamp: Option<usize>,
    /// The group called `Severity`.
    severity: Option<usize>,
    fields: MessageFields,
    filled: Filled,
    layout: TimeLayout,
    severities: BTreeMap<String, i32>,
    log_errors: bool,
    inner: envelope::Inner,
}

impl Decoding for Matches {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let text = record.bytes;
        self.regex.search_captures(&Input::new(text), &mut self.captures);
        if !self.captures.is_match() {
            let start = String::from_utf8_lossy(&text[..text.len().min(100)]);
            let reason = format!("match_regex does not match {start:?}");
            return Err(if self.log_errors { anyhow!(reason) } else { Quiet(reason).into() });
        }
        let (captures, names) = (&self.captures, &self.names);
        let captured = |group: usize| captures.get_group(group).map_or(&b""[..], |at| &text[at]);
        self.fields.fill(&mut self.filled, &mut |place, out| {
            let group = names.iter().find(|(name, _)| name == place);
            group.map(|(_, group)| out.extend_from_slice(captured(*group))).is_some()
        });
        let mut envelope = Envelope::of(record);
        envelope.payload = Some(text);
        if let Some(group) = self.timestamp {
            envelope.timestamp = self.layout.read(captured(group), record.now)?;
        }
        if let Some(group) = self.severity {
            envelope.severity =
                message_fields::severity(captured(group), &self.severities).or(envelope.severity);
        }
        self.fields.set_headers(&self.filled, &self.severities, &mut envelope)?;
        let mut builder = envelope.begin(out);
        builder.encoded_fields(record.origin.fields());
        self.fields.write_fields(&self.filled, &mut builder);
        builder.finish()?;
        Ok(())
    }
}
