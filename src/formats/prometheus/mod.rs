//! What exporters of Prometheus show: its text format 0.0.4 and OpenMetrics 1.0.
//!
//! | line | what it is |
//! | --- | --- |
//! | `# TYPE name counter` | what the samples below are |
//! | `# UNIT name seconds` | their unit, in OpenMetrics |
//! | `# HELP name text` | what they mean; passed over, as every other comment |
//! | `name{label="value",…} 12.5 1700000000000` | a sample; the time may be left out |
//! | `{"a.name",label="value"} 12.5` | a sample whose name is of any letters |
//! | `… # {trace="x"} 0.5` | an exemplar behind a sample; passed over |
//! | `# EOF` | the end, in OpenMetrics |
//!
//! Times are milliseconds in the text format and seconds in OpenMetrics.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;

/// What is shown that is not of the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is no sample: {why}")]
pub struct Error {
    /// Counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A number of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Its name, such as `http_requests_total`.
    pub name: Cow<'a, str>,
    /// The labels, in the order in which they stand.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The number: any, infinite ones and what is none included.
    pub value: f64,
    /// When it was measured, in nanoseconds since the epoch, where it says so.
    pub time: Option<i64>,
    /// What it is: `counter`, `gauge`, `histogram`, `summary` …; empty where that is not said.
    pub kind: &'a str,
    /// Its unit, where that is said.
    pub unit: &'a str,
}

/// What is known of a family of samples.
#[derive(Clone, Copy, Default)]
struct Family<'a> {
    kind: &'a str,
    unit: &'a str,
}

/// Reads what an exporter shows and hands each sample to `take`, which says whether to go on.
///
/// # Errors
/// At the first line that is neither a sample nor a comment.
pub fn read<'a>(
    text: &'a str,
    is_open_metrics: bool,
    take: &mut dyn FnMut(Sample<'a>) -> bool,
) -> Result<(), Error> {
    let mut families: HashMap<&str, Family<'_>> = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line == "# EOF" {
            return Ok(());
        }
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.split_ascii_whitespace();
            let (kind, name, rest) = (words.next(), words.next(), words.next());
            if let (Some(kind @ ("TYPE" | "UNIT")), Some(name)) = (kind, name) {
                let family = families.entry(name.trim_matches('"')).or_default();
                let rest = rest.unwrap_or_default();
                if kind == "TYPE" { family.kind = rest } else { family.unit = rest }
            }
        } else if !line.is_empty() {
            let mut sample =
                sample(line, is_open_metrics).map_err(|why| Error { line: index + 1, why })?;
            let family = family(&families, &sample.name);
            (sample.kind, sample.unit) = (family.kind, family.unit);
            if !take(sample) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The family a sample belongs to: its name, or that without what the parts of a family end in.
fn family<'a>(families: &HashMap<&str, Family<'a>>, name: &str) -> Family<'a> {
    const ENDS: [&str; 8] =
        ["_total", "_bucket", "_count", "_sum", "_created", "_info", "_gcount", "_gsum"];
    if let Some(family) = families.get(name) {
        return *family;
    }
    let bare = ENDS.iter().find_map(|end| families.get(name.strip_suffix(end)?));
    bare.copied().unwrap_or_default()
}

fn sample(line: &str, is_open_metrics: bool) -> Result<Sample<'_>, &'static str> {
    let name_end = line.find(|letter: char| letter == '{' || letter.is_ascii_whitespace());
    let (name, mut rest) = line.split_at(name_end.ok_or("it has no value")?);
    let mut name = Cow::Borrowed(name);
    let mut labels = Vec::new();
    if let Some(inner) = rest.trim_start().strip_prefix('{') {
        let (quoted, behind) = put_labels(inner, &mut labels)?;
        if let Some(quoted) = quoted.filter(|_| name.is_empty()) {
            name = quoted;
        }
        rest = behind;
    }
    if name.is_empty() || name.contains(['"', '=', '}']) {
        return Err("it has no name");
    }
    // An exemplar has labels of its own.
    let rest = rest.split(" # ").next().unwrap_or_default();
    let mut words = rest.split_ascii_whitespace();
    let value = number(words.next().ok_or("it has no value")?).ok_or("its value is no number")?;
    let time = match words.next() {
        None => None,
        Some(word) => {
            let time: f64 = word.parse().map_err(|_| "its time is no number")?;
            Some(nanoseconds(time * if is_open_metrics { 1e9 } else { 1e6 }))
        }
    };
    if words.next().is_some() {
        return Err("there is more behind its time");
    }
    Ok(Sample { name, labels, value, time, kind: "", unit: "" })
}

#[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
fn nanoseconds(time: f64) -> i64 {
    time as i64
}

/// A number as exporters in Go write it.
fn number(word: &str) -> Option<f64> {
    match word {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        word => word.parse().ok(),
    }
}

/// A name that stood in quotes among labels, and what stands behind them.
type Behind<'a> = (Option<Cow<'a, str>>, &'a str);

/// Reads labels up to the brace that closes them.
fn put_labels<'a>(
    mut rest: &'a str,
    labels: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>,
) -> Result<Behind<'a>, &'static str> {
    let mut name = None;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(behind) = rest.strip_prefix('}') {
            return Ok((name, behind));
        }
        let (label, behind) = if let Some(quoted) = rest.strip_prefix('"') {
            let (label, behind) = text(quoted)?;
            (label, behind.trim_start())
        } else {
            let end = rest.find(['=', ',', '}']).ok_or("its labels have no end")?;
            (Cow::Borrowed(rest[..end].trim_end()), &rest[end..])
        };
        let Some(value) = behind.strip_prefix('=') else {
            if name.is_some() || !rest.starts_with('"') {
                return Err("one of its labels has no value");
            }
            name = Some(label);
            rest = behind;
            continue;
        };
        let value = value.trim_start().strip_prefix('"');
        let (value, behind) = text(value.ok_or("the value of a label is not in quotes")?)?;
        if label.is_empty() {
            return Err("one of its labels has no name");
        }
        labels.push((label, value));
        rest = behind;
    }
}

/// A text up to the quote that closes it, and what stands behind.
fn text(rest: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let mut escaped: Option<String> = None;
    let mut start = 0;
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let last = &rest[start..at];
                let whole = match escaped {
                    Some(mut text) => {
                        text.push_str(last);
                        Cow::Owned(text)
                    }
                    None => Cow::Borrowed(last),
                };
                return Ok((whole, &rest[at + 1..]));
            }
            b'\\' => {
                let text = escaped.get_or_insert_default();
                text.push_str(&rest[start..at]);
                match bytes.get(at + 1) {
                    Some(b'n') => text.push('\n'),
                    Some(b'"') => text.push('"'),
                    Some(b'\\') => text.push('\\'),
                    _ => {
                        // Not one of the three: it stands for itself.
                        text.push('\\');
                        at += 1;
                        start = at;
                        continue;
                    }
                }
                at += 2;
                start = at;
            }
            _ => at += 1,
        }
    }
    Err("a text in quotes has no end")
}
