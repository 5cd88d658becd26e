//! Numbers of messages as Prometheus writes them: a line for each series.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::Field;
use crate::message::Message;
use crate::message::Places;
use crate::message::Value;
use crate::message::places::verbatim;
use crate::plugin::Described;
use crate::plugin::Encoder;
use crate::plugin::EncoderContext;
use crate::plugin::Encoding;

/// Gives each number of a message as a line in the text format of Prometheus, with its type and time.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PrometheusEncoder {
    /// What stands before the name of each field. What a name of Prometheus cannot have becomes `_`.
    metric_prefix: Places,
    /// Which fields are written; all that are numbers when empty.
    fields: Vec<String>,
    /// The labels, each a text with places such as `%{Hostname}`; one a message has nothing for is left
    /// out.
    labels: BTreeMap<String, Places>,
    /// Fields that become labels of their name.
    label_fields: Vec<String>,
    /// What the numbers are.
    metric_type: MetricType,
    /// Whether the time of the message is written.
    timestamps: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum MetricType {
    Gauge,
    Counter,
    Untyped,
}

impl Default for PrometheusEncoder {
    fn default() -> PrometheusEncoder {
        let places = |text| Places::parse(text).expect("there is no time in it");
        PrometheusEncoder {
            metric_prefix: places("heka_"),
            fields: Vec::new(),
            labels: BTreeMap::from([("instance".to_owned(), places("%{Hostname}"))]),
            label_fields: Vec::new(),
            metric_type: MetricType::Gauge,
            timestamps: true,
        }
    }
}

impl Described for PrometheusEncoder {
    const NAME: &'static str = "PrometheusEncoder";
    const ABOUT: &'static str = "Gives the numbers of each message as Prometheus writes them.";
    const EXAMPLE: &'static str = "[PrometheusEncoder]\nmetric_prefix = \"%{Type}_\"\n\
        label_fields = [\"device\"]\n\n\
        [PrometheusEncoder.labels]\ninstance = \"%{Hostname}\"\njob = \"heka\"\n";

    fn check(&self) -> anyhow::Result<()> {
        for name in self.labels.keys() {
            let is_sound = !name.is_empty() && name.starts_with(|c: char| !c.is_ascii_digit());
            let is_sound = is_sound && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            anyhow::ensure!(is_sound, "`{name}` is no name of a label");
        }
        Ok(())
    }
}

impl Encoder for PrometheusEncoder {
    fn start(&self, _cx: &EncoderContext<'_>) -> anyhow::Result<Box<dyn Encoding>> {
        Ok(Box::new(Lines { settings: self.clone(), labels: Vec::new(), text: Vec::new() }))
    }
}

struct Lines {
    settings: PrometheusEncoder,
    labels: Vec<u8>,
    text: Vec<u8>,
}

impl Encoding for Lines {
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let start = out.len();
        self.put_labels(message);
        let mut prefix = std::mem::take(&mut self.text);
        prefix.clear();
        let time = message.timestamp();
        let put = self.settings.metric_prefix.put(message, time, verbatim, &mut prefix);
        put.context("`metric_prefix` cannot be filled")?;
        for field in message.fields() {
            if !self.is_wanted(&field) {
                continue;
            }
            let number = match field.values().next() {
                Some(Value::Integer(number)) => number as f64,
                Some(Value::Double(number)) => number,
                Some(Value::Bool(truth)) => f64::from(u8::from(truth)),
                _ => continue,
            };
            let name = name(&prefix, field.name());
            let kind = match self.settings.metric_type {
                MetricType::Gauge => "gauge",
                MetricType::Counter => "counter",
                MetricType::Untyped => "untyped",
            };
            writeln!(out, "# TYPE {name} {kind}")?;
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&self.labels);
            write!(out, " {}", shown(number))?;
            if self.settings.timestamps {
                write!(out, " {}", time.div_euclid(1_000_000))?;
            }
            out.push(b'\n');
        }
        self.text = prefix;
        Ok(out.len() > start)
    }
}

impl Lines {
    fn is_wanted(&self, field: &Field<'_>) -> bool {
        let is_named = |names: &[String]| names.iter().any(|name| name.as_bytes() == field.name());
        let fields = &self.settings.fields;
        (fields.is_empty() || is_named(fields)) && !is_named(&self.settings.label_fields)
    }

    fn put_labels(&mut self, message: &Message<'_>) {
        self.labels.clear();
        let time = message.timestamp();
        for (name, places) in &mut self.settings.labels {
            self.text.clear();
            if places.put(message, time, verbatim, &mut self.text).is_ok() {
                put_label(name.as_bytes(), &self.text, &mut self.labels);
            }
        }
        for name in &self.settings.label_fields {
            self.text.clear();
            match message.value(name.as_bytes(), 0, 0) {
                Some(Value::String(text) | Value::Bytes(text)) => self.text.extend_from_slice(text),
                Some(Value::Integer(number)) => self.text.extend(number.to_string().bytes()),
                Some(Value::Double(number)) => self.text.extend(number.to_string().bytes()),
                Some(Value::Bool(truth)) => self.text.extend(truth.to_string().bytes()),
                None => continue,
            }
            let name: Vec<u8> = name.bytes().map(sound).collect();
            put_label(&name, &self.text, &mut self.labels);
        }
        if !self.labels.is_empty() {
            self.labels.push(b'}');
        }
    }
}

/// Appends a label, with the brace that opens or the comma.
fn put_label(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if value.is_empty() {
        return;
    }
    out.push(if out.is_empty() { b'{' } else { b',' });
    out.extend_from_slice(name);
    out.extend_from_slice(b"=\"");
    for letter in String::from_utf8_lossy(value).chars() {
        match letter {
            '\\' => out.extend_from_slice(b"\\\\"),
            '"' => out.extend_from_slice(b"\\\""),
            '\n' => out.extend_from_slice(b"\\n"),
            _ => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// The byte, or what stands for one that a name cannot have.
fn sound(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() || byte == b'_' { byte } else { b'_' }
}

fn name(prefix: &[u8], field: &[u8]) -> String {
    let mut name: String =
        prefix.iter().chain(field).map(|byte| char::from(sound(*byte))).collect();
    if name.starts_with(|letter: char| letter.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

fn shown(number: f64) -> String {
    match number {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        number => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Batch;

    fn check(settings: &str, expected: &str) {
        let settings: PrometheusEncoder = toml::from_str(settings).unwrap();
        let mut batch = Batch::new();
        let mut builder = batch.begin();
        builder.timestamp(1_416_840_893_250_000_000).message_type(b"stats.disk").hostname(b"w\"b");
        builder.string("device", "", b"sd a").integer("reads", "", 7).double("1 m", "", 0.5);
        builder.finish().unwrap();
        let mut lines = Lines { settings, labels: Vec::new(), text: Vec::new() };
        let mut out = Vec::new();
        let is_some = lines.encode(&batch.message(0), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(is_some, !expected.is_empty());
    }

    #[test]
    fn every_number_is_a_line() {
        check(
            "",
            "# TYPE heka_reads gauge\nheka_reads{instance=\"w\\\"b\"} 7 1416840893250\n\
             # TYPE heka_1_m gauge\nheka_1_m{instance=\"w\\\"b\"} 0.5 1416840893250\n",
        );
        check(
            "metric_prefix = '%{Type}_'\nfields = ['reads']\nlabel_fields = ['device']\n\
             metric_type = 'counter'\ntimestamps = false\nlabels = { a = 'x', b = '%{none}' }",
            "# TYPE stats_disk_reads counter\nstats_disk_reads{a=\"x\",device=\"sd a\"} 7\n",
        );
        check("metric_prefix = ''\nlabels = {}\nfields = ['1 m']\nmetric_type = 'untyped'", {
            "# TYPE _1_m untyped\n_1_m 0.5 1416840893250\n"
        });
        check("fields = ['none']", "");
    }

    #[test]
    fn labels_have_names() {
        let settings: PrometheusEncoder = toml::from_str("labels = { 'a-b' = 'x' }").unwrap();
        assert_eq!(settings.check().unwrap_err().to_string(), "`a-b` is no name of a label");
    }
}
