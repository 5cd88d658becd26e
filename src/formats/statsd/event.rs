//! Events and service checks of DataDog's clients.

use super::number;

/// Something that happened: `_e{5,4}:title|text|d:time|h:host|p:low|t:error|#tag`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Event<'a> {
    /// What it is called.
    pub title: &'a [u8],
    /// What is said about it; `\n` in it stands for the end of a line.
    pub text: &'a [u8],
    /// When it happened, in seconds since the epoch.
    pub time: Option<f64>,
    /// On which host.
    pub hostname: &'a [u8],
    /// What it belongs together with.
    pub aggregation_key: &'a [u8],
    /// `normal` or `low`.
    pub priority: &'a [u8],
    /// What it comes from.
    pub source_type_name: &'a [u8],
    /// `error`, `warning`, `success` or `info`.
    pub alert_type: &'a [u8],
    /// Its tags.
    pub tags: Tags<'a>,
}

/// How something is: `_sc|name|0|d:time|h:host|#tag|m:text`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceCheck<'a> {
    /// What was checked.
    pub name: &'a [u8],
    /// 0 is well, 1 a warning, 2 critical, 3 unknown.
    pub status: i64,
    /// When, in seconds since the epoch.
    pub time: Option<f64>,
    /// On which host.
    pub hostname: &'a [u8],
    /// What is said about it.
    pub text: &'a [u8],
    /// Its tags.
    pub tags: Tags<'a>,
}

/// Tags as they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags<'a>(pub &'a [u8]);

impl<'a> Tags<'a> {
    /// The tags, each with its value, which may be empty.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let tags = self.0.split(|byte| *byte == b',').filter(|tag| !tag.is_empty());
        tags.map(|tag| match memchr::memchr(b':', tag) {
            Some(at) => (&tag[..at], &tag[at + 1..]),
            None => (tag, &b""[..]),
        })
    }
}

pub(super) fn read_event(line: &[u8]) -> Option<Event<'_>> {
    let rest = line.strip_prefix(b"_e{")?;
    let close = memchr::memmem::find(rest, b"}:")?;
    let comma = memchr::memchr(b',', &rest[..close])?;
    let (title, text) = (length(&rest[..comma])?, length(&rest[comma + 1..close])?);
    let rest = &rest[close + 2..];
    let mut event = Event { title: rest.get(..title)?, ..Event::default() };
    let rest = rest[title..].strip_prefix(b"|")?;
    event.text = rest.get(..text)?;
    let rest = &rest[text..];
    if !rest.is_empty() && !rest.starts_with(b"|") {
        return None;
    }
    for part in rest.split(|byte| *byte == b'|') {
        match part {
            [b'd', b':', time @ ..] => event.time = number(time),
            [b'h', b':', host @ ..] => event.hostname = host,
            [b'k', b':', key @ ..] => event.aggregation_key = key,
            [b'p', b':', priority @ ..] => event.priority = priority,
            [b's', b':', source @ ..] => event.source_type_name = source,
            [b't', b':', kind @ ..] => event.alert_type = kind,
            [b'#', tags @ ..] => event.tags = Tags(tags),
            _ => {}
        }
    }
    Some(event)
}

pub(super) fn read_service_check(line: &[u8]) -> Option<ServiceCheck<'_>> {
    let mut rest = line.strip_prefix(b"_sc|")?;
    let mut check = ServiceCheck::default();
    // The text comes last and may hold bars.
    if let Some(at) = memchr::memmem::find(rest, b"|m:") {
        check.text = &rest[at + 3..];
        rest = &rest[..at];
    }
    let mut parts = rest.split(|byte| *byte == b'|');
    check.name = parts.next().filter(|name| !name.is_empty())?;
    check.status = match parts.next()? {
        [digit @ b'0'..=b'3'] => i64::from(digit - b'0'),
        _ => return None,
    };
    for part in parts {
        match part {
            [b'd', b':', time @ ..] => check.time = number(time),
            [b'h', b':', host @ ..] => check.hostname = host,
            [b'#', tags @ ..] => check.tags = Tags(tags),
            _ => {}
        }
    }
    Some(check)
}

fn length(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
