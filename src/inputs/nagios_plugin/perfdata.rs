//! What a plugin of Nagios prints: text, and behind a bar its performance data.
//!
//! ```text
//! TEXT | 'label'=value[UOM];[warn];[crit];[min];[max] …
//! long text
//! … | more performance data
//! still more
//! ```
//!
//! A label stands in single quotes where it has spaces in it, a quote in it is doubled.

/// How much of long text is kept, in bytes.
const MAX_LONG: usize = 64 * 1024;
/// How many numbers are kept.
const MAX_NUMBERS: usize = 1000;

/// What was printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Printed {
    /// The first line, without performance data.
    pub(super) text: String,
    /// The lines below.
    pub(super) long_text: String,
    /// The performance data.
    pub(super) numbers: Vec<Number>,
}

/// One number of the performance data.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Number {
    /// What it is about.
    pub(super) label: String,
    /// The number; none where it is unknown: `U`.
    pub(super) value: Option<f64>,
    /// Its unit, as the plugin writes it: `s`, `ms`, `%`, `B`, `c` …
    pub(super) unit: String,
    /// The range outside of which the plugin warns.
    pub(super) warn: String,
    /// The range outside of which it is critical.
    pub(super) crit: String,
    /// The least it may be.
    pub(super) min: Option<f64>,
    /// The most it may be.
    pub(super) max: Option<f64>,
}

/// Reads what a plugin has printed.
pub(super) fn read(printed: &str) -> Printed {
    let mut lines = printed.lines();
    let first = lines.next().unwrap_or_default();
    let (text, data) = first.split_once('|').unwrap_or((first, ""));
    let (mut long, mut all) = (String::new(), data.to_owned());
    let mut is_data = false;
    for line in lines {
        let (text, data) = if is_data {
            ("", line)
        } else if let Some((text, data)) = line.split_once('|') {
            is_data = true;
            (text, data)
        } else {
            (line, "")
        };
        if !text.is_empty() && long.len() + text.len() < MAX_LONG {
            if !long.is_empty() {
                long.push('\n');
            }
            long.push_str(text.trim_end());
        }
        all.push(' ');
        all.push_str(data);
    }
    Printed { text: text.trim().to_owned(), long_text: long, numbers: numbers(&all) }
}

/// Reads performance data; what is none of it is passed over up to the next space.
fn numbers(mut rest: &str) -> Vec<Number> {
    let mut numbers = Vec::new();
    while numbers.len() < MAX_NUMBERS {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let Some((label, behind)) = label(rest) else {
            rest = rest.split_once(char::is_whitespace).map_or("", |(_, behind)| behind);
            continue;
        };
        let end = behind.find(char::is_whitespace).unwrap_or(behind.len());
        numbers.extend(number(label, &behind[..end]));
        rest = &behind[end..];
    }
    numbers
}

/// A label, and what stands behind its equals sign.
fn label(rest: &str) -> Option<(String, &str)> {
    let Some(quoted) = rest.strip_prefix('\'') else {
        let (label, behind) = rest.split_once('=')?;
        let is_one_word = !label.is_empty() && !label.contains(char::is_whitespace);
        return is_one_word.then(|| (label.to_owned(), behind));
    };
    let mut label = String::new();
    let mut parts = quoted.split('\'');
    let mut taken = 0;
    loop {
        let part = parts.next()?;
        label.push_str(part);
        taken += part.len() + 1;
        let behind = quoted.get(taken..)?;
        if let Some(value) = behind.strip_prefix('=') {
            return (!label.is_empty()).then_some((label, value));
        }
        if !behind.starts_with('\'') {
            return None;
        }
        label.push('\'');
        taken += 1;
        parts.next()?;
    }
}

fn number(label: String, written: &str) -> Option<Number> {
    let mut parts = written.split(';');
    let value = parts.next().unwrap_or_default();
    let end = value.find(|c: char| !c.is_ascii_digit() && !"+-.,".contains(c));
    let (digits, unit) = value.split_at(end.unwrap_or(value.len()));
    // Some plugins write numbers as their language has it.
    let parse = |text: &str| text.replace(',', ".").parse::<f64>().ok();
    let value = parse(digits);
    if value.is_none() && unit != "U" {
        return None;
    }
    let unit = if value.is_some() { unit.to_owned() } else { String::new() };
    let mut next = || parts.next().unwrap_or_default();
    let (warn, crit) = (next().to_owned(), next().to_owned());
    let (min, max) = (parse(next()), parse(next()));
    Some(Number { label, value, unit, warn, crit, min, max })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(printed: &str, text: &str, long: &str, numbers: &[&str]) {
        let read = read(printed);
        let told: Vec<String> = read
            .numbers
            .iter()
            .map(|it| {
                let Number { label, value, unit, warn, crit, min, max } = it;
                format!("{label}: {value:?} {unit} [{warn}] [{crit}] {min:?} {max:?}")
            })
            .collect();
        assert_eq!((read.text.as_str(), read.long_text.as_str()), (text, long), "{printed}");
        assert_eq!(told, numbers, "{printed}");
    }

    #[test]
    fn text_and_numbers_are_told_apart() {
        check("OK\n", "OK", "", &[]);
        check(
            "LOAD OK - 0.1|load1=0.100;5.000;10.000;0; load5=0.2;;;0\n",
            "LOAD OK - 0.1",
            "",
            &[
                "load1: Some(0.1)  [5.000] [10.000] Some(0.0) None",
                "load5: Some(0.2)  [] [] Some(0.0) None",
            ],
        );
        check(
            "DISK OK | '/a b'=5MB;@10:20;~:30;0;100 /it=U x 'it''s'=1,5% bad=x\nmore\nlines | c=7c\nd=2ms",
            "DISK OK",
            "more\nlines",
            &[
                "/a b: Some(5.0) MB [@10:20] [~:30] Some(0.0) Some(100.0)",
                "/it: None  [] [] None None",
                "it's: Some(1.5) % [] [] None None",
                "c: Some(7.0) c [] [] None None",
                "d: Some(2.0) ms [] [] None None",
            ],
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(printed in "['=;|a1é\n .U]{0,60}") {
            read(&printed);
        }
    }
}
