//! `LogfmtDecoder`: pairs of keys and values.

use std::collections::BTreeMap;

use anyhow::bail;
use anyhow::ensure;
use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope;
use super::envelope::Envelope;
use super::time_layout;
use super::time_layout::TimeLayout;
use crate::formats::logfmt::Pair;
use crate::formats::logfmt::Pairs;
use crate::formats::logfmt::Separators;
use crate::formats::severity;
use crate::message::Batch;
use crate::message::Builder;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Record;

/// The longest key, in bytes; what is longer is text and no key.
const MAX_KEY: usize = 256;

/// Reads pairs of keys and values, as in `level=info msg="all is well" took=3`.
///
/// Each pair is a field: whole numbers are integers, other numbers doubles, `true` and `false` truth
/// values, and a key that stands alone is true; what has quotes is text. The keys named by
/// `Timestamp`, `Severity`, `Payload` and the like go into the header instead, where the line has
/// them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogfmtDecoder {
    /// What stands between pairs, one byte; a space is any white space.
    #[serde(default = "space")]
    pair_separator: String,
    /// What stands between a key and its value, one byte.
    #[serde(default = "equals")]
    value_separator: String,
    /// Whether numbers and truth values are told from text.
    #[serde(default = "is_true")]
    typed: bool,
    /// The keys of the time, in the order in which they are looked for.
    #[serde(rename = "Timestamp", default = "time_keys")]
    timestamp: Vec<String>,
    /// The keys of the severity, a usual word or a number.
    #[serde(rename = "Severity", default = "severity_keys")]
    severity: Vec<String>,
    /// The keys of the payload.
    #[serde(rename = "Payload", default = "payload_keys")]
    payload: Vec<String>,
    /// The keys of the hostname.
    #[serde(rename = "Hostname", default)]
    hostname: Vec<String>,
    /// The keys of the logger.
    #[serde(rename = "Logger", default)]
    logger: Vec<String>,
    /// The keys of the process id.
    #[serde(rename = "Pid", default)]
    pid: Vec<String>,
    /// How the time is written: a layout of Go, `Epoch`, `EpochMilli`, `EpochMicro`, `EpochNano`, or a
    /// pattern of strftime. The usual layouts are tried too.
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
    /// Whether the line is kept as payload, where no key is.
    #[serde(default)]
    payload_keep: bool,
}

fn space() -> String {
    " ".to_owned()
}

fn equals() -> String {
    "=".to_owned()
}

fn is_true() -> bool {
    true
}

fn time_keys() -> Vec<String> {
    ["time", "ts", "timestamp"].map(str::to_owned).to_vec()
}

fn severity_keys() -> Vec<String> {
    ["level", "lvl", "severity"].map(str::to_owned).to_vec()
}

fn payload_keys() -> Vec<String> {
    ["msg", "message"].map(str::to_owned).to_vec()
}

impl Described for LogfmtDecoder {
    const NAME: &'static str = "LogfmtDecoder";
    const ABOUT: &'static str =
        "Reads logfmt and other pairs of keys and values into typed fields.";
    const EXAMPLE: &'static str = "\
[LogfmtDecoder]
message_type = \"app\"
Timestamp = [\"at\"]
Hostname = [\"host\"]
";
}

impl Decoder for LogfmtDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        let zone = time_layout::zone("tz", &self.tz)?;
        let separators = Separators {
            pair: one_byte("pair_separator", &self.pair_separator)?,
            value: one_byte("value_separator", &self.value_separator)?,
        };
        ensure!(
            separators.pair != separators.value,
            "`pair_separator` and `value_separator` are the same"
        );
        Ok(Box::new(Lines {
            layout: TimeLayout::compile(&self.timestamp_layout, zone)?,
            separators,
            settings: self.clone(),
            headers: Headers::default(),
            value: Vec::new(),
            inner: envelope::Inner::default(),
        }))
    }
}

fn one_byte(setting: &str, written: &str) -> anyhow::Result<u8> {
    match written.as_bytes() {
        &[byte] => Ok(byte),
        bytes => bail!("{setting} must be exactly one byte, {written:?} has {}", bytes.len()),
    }
}

struct Lines {
    layout: TimeLayout,
    separators: Separators,
    settings: LogfmtDecoder,
    headers: Headers,
    /// A value while what backslashes stand for is put in.
    value: Vec<u8>,
    inner: envelope::Inner,
}

/// Which pairs go into the header, by their number in the line, and what they say.
#[derive(Debug, Default)]
struct Headers {
    found: [Option<usize>; 6],
    texts: [Vec<u8>; 6],
}

impl Decoding for Lines {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let line = envelope::without_line_end(record.bytes);
        let settings = &self.settings;
        let separators = &self.separators;
        let pairs = || Pairs::of(line, separators);
        let is_pair = |pair: Pair<'_>| pair.value.is_some();
        ensure!(pairs().any(is_pair), "there is no key with a value");
        self.headers.find(settings, pairs());
        let mut envelope = Envelope::of(record);
        if let Some(message_type) = &settings.message_type {
            envelope.message_type = message_type.as_bytes();
        }
        envelope.payload = settings.payload_keep.then_some(line);
        let read = self.headers.read(settings, &self.layout, record.now);
        set(&self.headers, &read, &mut envelope);
        let mut builder = envelope.begin(out);
        for (index, pair) in pairs().enumerate() {
            if !self.headers.found.contains(&Some(index)) {
                put(&pair, settings.typed, &mut self.value, &mut builder);
            }
        }
        builder.encoded_fields(record.origin.fields());
        builder.finish()?;
        Ok(())
    }
}

impl Headers {
    fn find<'a>(&mut self, settings: &LogfmtDecoder, pairs: impl Iterator<Item = Pair<'a>>) {
        let keys = [
            &settings.timestamp,
            &settings.severity,
            &settings.payload,
            &settings.hostname,
            &settings.logger,
            &settings.pid,
        ];
        let mut ranks = [usize::MAX; 6];
        self.found = [None; 6];
        for (index, pair) in pairs.enumerate() {
            let Some(value) = pair.value else { continue };
            for (header, keys) in keys.iter().enumerate() {
                let rank = keys.iter().position(|key| key.as_bytes() == pair.key);
                if let Some(rank) = rank.filter(|rank| *rank < ranks[header]) {
                    ranks[header] = rank;
                    self.found[header] = Some(index);
                    self.texts[header].clear();
                    value.put(&mut self.texts[header]);
                }
            }
        }
    }

    /// Reads the numbers; what is none is no longer found.
    fn read(&mut self, settings: &LogfmtDecoder, layout: &TimeLayout, now: i64) -> Read {
        let word = |text| std::str::from_utf8(text).unwrap_or_default();
        let read = Read {
            timestamp: self.text(0).and_then(|text| layout.read(text, now).ok()),
            severity: self.text(1).and_then(|text| {
                settings.severity_map.get(word(text)).copied().or(severity::named(text))
            }),
            pid: self.text(5).and_then(|text| word(text).parse().ok()),
        };
        let is_read = [read.timestamp.is_some(), read.severity.is_some(), read.pid.is_some()];
        for (header, is_read) in [0, 1, 5].into_iter().zip(is_read) {
            self.found[header] = self.found[header].filter(|_| is_read);
        }
        read
    }

    fn text(&self, header: usize) -> Option<&[u8]> {
        self.found[header].map(|_| self.texts[header].as_slice())
    }
}

/// The header with what the pairs say of it. What cannot be read there stays a field: keys are
/// looked for unasked, and `time=12ms` is no mistake.
fn set<'a>(headers: &'a Headers, read: &Read, envelope: &mut Envelope<'a>) {
    envelope.timestamp = read.timestamp.unwrap_or(envelope.timestamp);
    envelope.severity = read.severity.or(envelope.severity);
    envelope.payload = headers.text(2).or(envelope.payload);
    envelope.hostname = headers.text(3).unwrap_or(envelope.hostname);
    envelope.logger = headers.text(4).unwrap_or(envelope.logger);
    envelope.pid = read.pid.or(envelope.pid);
}

/// The numbers among what goes into the header.
struct Read {
    timestamp: Option<i64>,
    severity: Option<i32>,
    pid: Option<i32>,
}

/// Writes the field of a pair.
fn put(pair: &Pair<'_>, typed: bool, room: &mut Vec<u8>, out: &mut Builder<'_>) {
    let name = String::from_utf8_lossy(&pair.key[..pair.key.len().min(MAX_KEY)]);
    let Some(value) = pair.value else {
        out.boolean(&name, "", true);
        return;
    };
    let scalar = if typed && !value.is_quoted { scalar(value.text) } else { None };
    match scalar {
        Some(Scalar::Bool(truth)) => {
            out.boolean(&name, "", truth);
        }
        Some(Scalar::Whole(number)) => {
            out.integer(&name, "", number);
        }
        Some(Scalar::Other(number)) => {
            out.double(&name, "", number);
        }
        None if value.is_escaped => {
            room.clear();
            value.put(room);
            out.string(&name, "", room);
        }
        None => {
            out.string(&name, "", value.text);
        }
    }
}

enum Scalar {
    Bool(bool),
    Whole(i64),
    Other(f64),
}

/// A truth value, or a number as programs write it: digits, a sign, a point, an exponent; no words,
/// and no digits behind a zero that would be lost.
fn scalar(text: &[u8]) -> Option<Scalar> {
    match text {
        b"true" => return Some(Scalar::Bool(true)),
        b"false" => return Some(Scalar::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let is_number = matches!(unsigned, [b'0'..=b'9', ..]) && unsigned.len() <= 32;
    if !is_number || matches!(unsigned, [b'0', b'0'..=b'9', ..]) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    text.parse().map(Scalar::Whole).ok().or_else(|| text.parse().map(Scalar::Other).ok())
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::super::tests::check_refused;

    #[test]
    fn pairs_become_header_and_typed_fields() {
        check(
            "[LogfmtDecoder]\nmessage_type = 'app'\nHostname = ['host']\nPid = ['pid']",
            "LogfmtDecoder",
            "ts=2026-11-22T15:33:21Z level=warn msg=\"it \\\"broke\\\"\" host=web-1 pid=7 n=-3 t=2.5e3 \
             id=007 ok=true q=\"1\" e= flag\n",
            "time 1000000000\ntype app\nfrom logger web-1\nseverity 4\npid 7\n\
             payload it \"broke\"\nn -3\nt 2500.0f\nid \"007\"\nok true\nq \"1\"\ne \"\"\nflag true\n\
             extra 1\n",
        );
    }

    #[test]
    fn other_separators_and_text_alone() {
        check(
            "[LogfmtDecoder]\npair_separator = '|'\nvalue_separator = ':'\ntyped = false\n\
             Timestamp = ['at']\ntimestamp_layout = 'Epoch'",
            "LogfmtDecoder",
            "at:1795361601|a b: 1 |c:d",
            "time 1000000000\ntype input\nfrom logger host\na b \"1\"\nc \"d\"\nextra 1\n",
        );
    }

    #[test]
    fn mistakes_are_told() {
        check(
            "[LogfmtDecoder]",
            "LogfmtDecoder",
            "just words\n",
            "error: there is no key with a value\n",
        );
        check(
            "[LogfmtDecoder]",
            "LogfmtDecoder",
            "level=purple time=12ms",
            "time 0\ntype input\nfrom logger host\nlevel \"purple\"\ntime \"12ms\"\nextra 1\n",
        );
        check_refused("[LogfmtDecoder]\npair_separator = '='", "LogfmtDecoder", "are the same");
    }
}
