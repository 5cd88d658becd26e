//! A mail as text (RFC 5322, RFC 2045, RFC 2047).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use chrono::Utc;

/// In characters, as RFC 2045 wants it.
const LINE: usize = 76;
/// The bytes of an encoded word, so that it stays below 75 characters.
const WORD: usize = 42;

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mail {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) subject: String,
    pub(super) body: Vec<u8>,
}

impl Mail {
    /// The whole mail, lines with `\r\n`; none of them begins with a dot.
    pub(super) fn text(&self, now: DateTime<Utc>, id: &str) -> String {
        let mut text = String::new();
        let host = self.from.rsplit_once('@').map_or("localhost", |(_, host)| host);
        let host = host.trim_end_matches('>');
        text.push_str(&format!("From: {}\r\n", self.from));
        text.push_str(&format!("To: {}\r\n", self.to.join(",\r\n ")));
        text.push_str(&format!("Subject: {}\r\n", header(&self.subject)));
        text.push_str(&format!("Date: {}\r\n", now.to_rfc2822()));
        text.push_str(&format!("Message-ID: <{id}@{host}>\r\n"));
        text.push_str("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
        text.push_str("Content-Type: text/plain; charset=utf-8\r\n");
        text.push_str("Content-Transfer-Encoding: base64\r\n\r\n");
        let body = STANDARD.encode(&self.body);
        for line in body.as_bytes().chunks(LINE) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push_str("\r\n");
        }
        text
    }
}

/// Text as a header can have it: as it is where it may be, else in encoded words. Nothing in it ends
/// the header.
fn header(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if text.bytes().all(is_plain) && text.len() <= 900 && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.chars() {
        let letter = if letter.is_control() { ' ' } else { letter };
        if word.len() + letter.len_utf8() > WORD {
            words.push(std::mem::take(&mut word));
        }
        word.push(letter);
    }
    words.push(word);
    let encoded = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join("\r\n ")
}

/// The address in `Name <address>`, or the whole.
pub(super) fn address(written: &str) -> &str {
    let inside = written.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or(written, |(address, _)| address).trim()
}
