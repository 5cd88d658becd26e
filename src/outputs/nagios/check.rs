//! The result of a check.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use super::Settings;
use crate::message::Message;
use crate::message::Places;
use crate::message::places::verbatim;

/// What Nagios is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) host: String,
    /// Empty for a check of the host.
    pub(super) service: String,
    pub(super) state: u8,
    /// One line, with `\n` for a further one.
    pub(super) text: String,
}

impl Check {
    /// Reads what `record` says of what `message` is about.
    ///
    /// # Errors
    /// When the host is not known, or a name is none that Nagios could have.
    pub(super) fn of(
        message: &Message<'_>,
        record: &[u8],
        settings: &mut Settings,
    ) -> anyhow::Result<Check> {
        let host = name(&mut settings.nagios_host, message, message.hostname())?;
        anyhow::ensure!(!host.is_empty(), "the message has no Hostname: set `nagios_host`");
        let service = if settings.host_check {
            String::new()
        } else {
            name(&mut settings.nagios_service_description, message, message.logger())?
        };
        let text = String::from_utf8_lossy(record);
        let text = text.trim_end();
        let (state, rest) = match text.split_once(':') {
            Some((word, rest)) => match state(word.trim(), service.is_empty()) {
                Some(state) => (state, rest.trim_start()),
                None => (3, text),
            },
            None => (state(text, service.is_empty()).unwrap_or(3), text),
        };
        Ok(Check { host, service, state, text: one_line(rest) })
    }

    /// The external command, at most so many bytes with its newline.
    pub(super) fn command(&self, most: usize) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let Check { host, service, state, text } = self;
        let mut command = if service.is_empty() {
            format!("[{now}] PROCESS_HOST_CHECK_RESULT;{host};{state};{text}")
        } else {
            format!("[{now}] PROCESS_SERVICE_CHECK_RESULT;{host};{service};{state};{text}")
        };
        cut(&mut command, most - 1);
        command.push('\n');
        command
    }

    /// The line that `send_nsca` reads.
    pub(super) fn line(&self) -> String {
        let Check { host, service, state, text } = self;
        let text = text.replace('\t', " ");
        match service.as_str() {
            "" => format!("{host}\t{state}\t{text}\n"),
            service => format!("{host}\t{service}\t{state}\t{text}\n"),
        }
    }
}

/// Cuts text so that it has at most so many bytes.
pub(super) fn cut(text: &mut String, most: usize) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

fn name(
    setting: &mut Option<Places>,
    message: &Message<'_>,
    otherwise: &[u8],
) -> anyhow::Result<String> {
    let mut text = Vec::new();
    match setting {
        Some(places) => places.put(message, message.timestamp(), verbatim, &mut text)?,
        None => text.extend_from_slice(otherwise),
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    // A semicolon or a line end would begin another part of the command, or another command.
    let is_sound = !text.contains(|letter: char| letter == ';' || letter.is_control());
    anyhow::ensure!(
        is_sound,
        "{text:?} is no name for Nagios: it has no `;` and no control characters"
    );
    Ok(text)
}

fn state(word: &str, is_host: bool) -> Option<u8> {
    Some(match word.to_ascii_uppercase().as_str() {
        "OK" | "UP" => 0,
        "WARNING" => 1,
        "CRITICAL" | "DOWN" if is_host => 1,
        "CRITICAL" => 2,
        "UNREACHABLE" if is_host => 2,
        "UNKNOWN" if is_host => 2,
        "UNKNOWN" => 3,
        _ => return None,
    })
}

/// Text in one line, as external commands want it.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for letter in text.trim_end().chars() {
        match letter {
            '\n' => line.push_str("\\n"),
            '\r' => {}
            letter if letter.is_control() && letter != '\t' => line.push(' '),
            letter => line.push(letter),
        }
    }
    line
}
