//! `LogFormat` of Apache.
//!
//! A directive is a percent sign, statuses it is written for or not (`!200,304`), `<` or `>`, an
//! argument in braces, and a letter; `\"`, `\n` and `\t` are as in the server's configuration.
//! Source: the documentation of `mod_log_config`. Fields have the names that nginx has for the same.

use super::Error;
use super::variable::Kind;
use super::variable::Time;
use super::variable::Variable;
use crate::formats::time::TimeFormat;

const COMMON: &str = "%h %l %u %t \"%r\" %>s %b";
const COMBINED: &str = "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"";
const VHOST_COMBINED: &str = "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"";

/// A directive, taken apart.
struct Directive<'a> {
    argument: Option<&'a str>,
    letter: &'a str,
    /// How long it is as written.
    length: usize,
}

/// Compiles a format into the text before the first variable and the variables.
pub(super) fn compile(format: &str) -> Result<(Vec<u8>, Vec<Variable>), Error> {
    let format = match format {
        "common" => COMMON,
        "combined" => COMBINED,
        "vhost_combined" => VHOST_COMBINED,
        format => format,
    };
    let mut prefix = Vec::new();
    let mut variables: Vec<Variable> = Vec::new();
    let mut at = 0;
    while let Some(first) = format.as_bytes().get(at) {
        let out = variables.last_mut().map_or(&mut prefix, |last| &mut last.behind);
        match first {
            b'\\' => {
                out.push(escaped(format.as_bytes().get(at + 1).copied(), at)?);
                at += 2;
            }
            b'%' if format[at..].starts_with("%%") => {
                out.push(b'%');
                at += 2;
            }
            b'%' => {
                let directive = directive(&format[at..], at)?;
                let is_bracketed = directive.letter == "t" && directive.argument.is_none();
                if is_bracketed {
                    out.push(b'[');
                }
                variables.push(variable(&directive, &format[at..at + directive.length], at)?);
                if let Some(last) = variables.last_mut().filter(|_| is_bracketed) {
                    last.behind.push(b']');
                }
                at += directive.length;
            }
            byte => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    pass_over_ends(&mut variables);
    Ok((prefix, variables))
}

fn escaped(byte: Option<u8>, at: usize) -> Result<u8, Error> {
    match byte {
        Some(b'n') => Ok(b'\n'),
        Some(b't') => Ok(b'\t'),
        Some(byte @ (b'"' | b'\\')) => Ok(byte),
        _ => Err(error(at, "only \\\", \\\\, \\n and \\t can follow a backslash".to_owned())),
    }
}

fn error(at: usize, reason: String) -> Error {
    Error::At { column: at + 1, reason }
}

fn directive(text: &str, at: usize) -> Result<Directive<'_>, Error> {
    let is_modifier = |byte: &u8| matches!(byte, b'!' | b',' | b'<' | b'>' | b'0'..=b'9');
    let bytes = text.as_bytes();
    let modifiers = |from: usize| bytes[from..].iter().take_while(|b| is_modifier(b)).count();
    let mut end = 1 + modifiers(1);
    let mut argument = None;
    if bytes.get(end) == Some(&b'{') {
        let length = text[end..].find('}');
        let length = length.ok_or_else(|| error(at, "the brace is not closed".to_owned()))?;
        argument = Some(&text[end + 1..end + length]);
        end += length + 1;
        end += modifiers(end);
    }
    let width = if bytes.get(end) == Some(&b'^') { 3 } else { 1 };
    let Some(letter) = text.get(end..end + width) else {
        return Err(error(at, "a letter must follow the percent sign".to_owned()));
    };
    Ok(Directive { argument, letter, length: end + width })
}

fn variable(directive: &Directive<'_>, written: &str, at: usize) -> Result<Variable, Error> {
    let (field, kind, representation) = match directive.argument {
        None => plain(directive.letter),
        Some(argument) => with_argument(directive.letter, argument, at)?,
    }
    .ok_or_else(|| error(at, format!("{written} is no directive that is known")))?;
    Ok(Variable::new(written.to_owned(), at + 1, field, kind, representation))
}

type Meaning = (String, Kind, &'static str);

/// What a directive without argument stands for.
fn plain(letter: &str) -> Option<Meaning> {
    let (name, kind, representation) = match letter {
        "a" | "h" => ("remote_addr", Kind::Address, ""),
        "A" => ("server_addr", Kind::Address, ""),
        "B" | "b" => ("body_bytes_sent", Kind::Integer, "B"),
        "D" => ("request_time", Kind::Integer, "us"),
        "f" => ("request_filename", Kind::Text, ""),
        "H" => ("server_protocol", Kind::Text, ""),
        "I" => ("request_length", Kind::Integer, "B"),
        "k" => ("connection_requests", Kind::Integer, ""),
        "l" => ("remote_ident", Kind::Text, ""),
        "L" => ("request_log_id", Kind::Text, ""),
        "m" => ("request_method", Kind::Text, ""),
        "O" => ("bytes_sent", Kind::Integer, "B"),
        "p" => ("server_port", Kind::Integer, ""),
        "P" => ("pid", Kind::Integer, ""),
        "q" => ("query_string", Kind::Text, ""),
        "r" => ("request", Kind::Text, ""),
        "R" => ("request_handler", Kind::Text, ""),
        "s" => ("status", Kind::Integer, ""),
        "S" => ("total_bytes", Kind::Integer, "B"),
        "t" => ("", Kind::Time(Time::Clf), ""),
        "T" => ("request_time", Kind::Integer, "s"),
        "u" => ("remote_user", Kind::Text, ""),
        "U" => ("uri", Kind::Text, ""),
        "v" | "V" => ("server_name", Kind::Address, ""),
        "X" => ("connection_status", Kind::Text, ""),
        "^FB" => ("first_byte_time", Kind::Integer, "us"),
        _ => return None,
    };
    Some((name.to_owned(), kind, representation))
}

/// What a directive with an argument stands for.
fn with_argument(letter: &str, argument: &str, at: usize) -> Result<Option<Meaning>, Error> {
    let named = |prefix: &str| {
        let name = argument.to_ascii_lowercase().replace('-', "_");
        Some((format!("{prefix}{name}"), Kind::Text, ""))
    };
    let fixed = |name: &str, kind, representation| Some((name.to_owned(), kind, representation));
    Ok(match (letter, argument) {
        ("a" | "h", "c") => fixed("realip_remote_addr", Kind::Address, ""),
        ("C", _) => named("cookie_"),
        ("e", _) => named("env_"),
        ("i", _) if argument.eq_ignore_ascii_case("user-agent") => {
            fixed("http_user_agent", Kind::UserAgent, "")
        }
        ("i", _) if argument.eq_ignore_ascii_case("host") => fixed("http_host", Kind::Address, ""),
        ("i", _) => named("http_"),
        ("n", _) => named("note_"),
        ("o", _) => named("sent_http_"),
        ("^ti", _) => named("trailer_"),
        ("^to", _) => named("sent_trailer_"),
        ("p", "canonical" | "local") => fixed("server_port", Kind::Integer, ""),
        ("p", "remote") => fixed("remote_port", Kind::Integer, ""),
        ("P", "pid") => fixed("pid", Kind::Integer, ""),
        ("P", "tid") => fixed("tid", Kind::Integer, ""),
        ("P", "hextid") => fixed("tid", Kind::Text, ""),
        ("T", "s") => fixed("request_time", Kind::Integer, "s"),
        ("T", "ms") => fixed("request_time", Kind::Integer, "ms"),
        ("T", "us") => fixed("request_time", Kind::Integer, "us"),
        ("t", _) => Some((String::new(), Kind::Time(time(argument, at)?), "")),
        _ => None,
    })
}

/// What `%{…}t` stands for: a unit since the epoch, the fraction of a second, or a pattern.
fn time(argument: &str, at: usize) -> Result<Time, Error> {
    let (pattern, is_end) = match argument.strip_prefix("end:") {
        Some(pattern) => (pattern, true),
        None => (argument.strip_prefix("begin:").unwrap_or(argument), false),
    };
    let format = match pattern {
        "sec" => TimeFormat::epoch(1),
        "msec" => TimeFormat::epoch(1_000),
        "usec" => TimeFormat::epoch(1_000_000),
        "msec_frac" | "usec_frac" => TimeFormat::fraction(),
        pattern => {
            TimeFormat::strftime(pattern).map_err(|problem| error(at, problem.to_string()))?
        }
    };
    Ok(if is_end { Time::Passed(format) } else { Time::Piece(format) })
}

/// The time at which a request ended counts only where the format has no other.
fn pass_over_ends(variables: &mut [Variable]) {
    let is_begin =
        |variable: &Variable| matches!(variable.kind, Kind::Time(Time::Clf | Time::Piece(_)));
    if variables.iter().any(is_begin) {
        return;
    }
    for variable in variables {
        if let Kind::Time(Time::Passed(format)) = &variable.kind {
            variable.kind = Kind::Time(Time::Piece(format.clone()));
        }
    }
}
