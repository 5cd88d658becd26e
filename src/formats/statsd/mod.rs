//! Numbers as statsd's clients send them, and what DataDog's clients send beside them.
//!
//! | line | what it is |
//! | --- | --- |
//! | `name:1\|c`, `name:1\|c\|@0.1` | a counter, sampled at a rate |
//! | `name:320\|ms` | a timer |
//! | `name:3\|g`, `name:+3\|g`, `name:-3\|g` | a gauge, or a change to it |
//! | `name:alice\|s` | a member of a set |
//! | `name:1.5\|h`, `name:1.5\|d` | a histogram, a distribution |
//! | `name:1\|m` | a meter: a counter |
//! | `…\|#tag:value,tag`, `name;tag=value:1\|c`, `name,tag=value:1\|c` | tags |
//! | `name:1:2:3\|ms` | several values |
//! | `_e{5,4}:title\|text\|…` | an event |
//! | `_sc\|name\|0\|…` | a service check |
//!
//! Names come out as Graphite knows them, tags behind the name and in order: `name;env=prod;tag=true`.

mod event;
mod key;

#[cfg(test)]
mod tests;

pub use event::Event;
pub use event::ServiceCheck;
pub use event::Tags;
pub use key::put_name;

/// A line, read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Line<'a> {
    /// Numbers of one name.
    Numbers(Numbers<'a>),
    /// An event.
    Event(Event<'a>),
    /// A service check.
    ServiceCheck(ServiceCheck<'a>),
}

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It is added.
    Counter,
    /// It is a duration in milliseconds.
    Timer,
    /// It takes the place of the last one, or changes it.
    Gauge,
    /// It is a member of a set, which counts how many different ones there are.
    Set,
    /// It is one of many.
    Histogram,
}

/// One or more values of a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Numbers<'a> {
    /// The name as it is written; see [`put_name`].
    pub name: &'a [u8],
    /// What the values are.
    pub kind: Kind,
    /// The values as they are written, with colons between them.
    pub written: &'a [u8],
    /// Which part of all values was sent, above 0, at most 1.
    pub sampling: f64,
    /// The tags as they are written, with commas between them.
    pub tags: &'a [u8],
}

impl<'a> Numbers<'a> {
    /// The values as they are written, one by one.
    pub fn values(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        // A member of a set may have colons in it.
        let is_set = self.kind == Kind::Set;
        self.written.split(move |byte| *byte == b':' && !is_set)
    }
}

/// A line that is none of statsd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no name.
    #[error("there is no name before a colon")]
    Name,
    /// There is no kind, or none that is known.
    #[error("there is no c, ms, g, s, h, d or m behind a bar")]
    Kind,
    /// A value is no number.
    #[error("the value is no number")]
    Value,
    /// The rate is not above 0 and at most 1.
    #[error("the rate is not above 0 and at most 1")]
    Sampling,
    /// An event or a service check that is not whole.
    #[error("the {0} is not whole")]
    Cut(&'static str),
}

/// Reads a line, without its end.
///
/// # Errors
/// When it is none of statsd.
pub fn read(line: &[u8]) -> Result<Line<'_>, Error> {
    if line.starts_with(b"_e{") {
        return event::read_event(line).map(Line::Event).ok_or(Error::Cut("event"));
    }
    if line.starts_with(b"_sc|") {
        let check = event::read_service_check(line);
        return check.map(Line::ServiceCheck).ok_or(Error::Cut("service check"));
    }
    read_numbers(line).map(Line::Numbers)
}

fn read_numbers(line: &[u8]) -> Result<Numbers<'_>, Error> {
    let bar = memchr::memchr(b'|', line).ok_or(Error::Kind)?;
    let colon = memchr::memchr(b':', &line[..bar]).filter(|at| *at > 0).ok_or(Error::Name)?;
    let (name, written) = (&line[..colon], &line[colon + 1..bar]);
    let mut parts = line[bar + 1..].split(|byte| *byte == b'|');
    let kind = match parts.next() {
        Some(b"c" | b"m") => Kind::Counter,
        Some(b"ms") => Kind::Timer,
        Some(b"g") => Kind::Gauge,
        Some(b"s") => Kind::Set,
        Some(b"h" | b"d") => Kind::Histogram,
        _ => return Err(Error::Kind),
    };
    let mut numbers = Numbers { name, kind, written, sampling: 1.0, tags: b"" };
    for part in parts {
        match part.first() {
            Some(b'@') => {
                let rate = number(&part[1..]).filter(|rate| *rate > 0.0 && *rate <= 1.0);
                numbers.sampling = rate.ok_or(Error::Sampling)?;
            }
            Some(b'#') => numbers.tags = &part[1..],
            // A container, a time, and what clients will think of.
            _ => {}
        }
    }
    if kind != Kind::Set && numbers.values().any(|value| number(value).is_none()) {
        return Err(Error::Value);
    }
    Ok(numbers)
}

/// A value as a number.
#[must_use]
pub fn number(written: &[u8]) -> Option<f64> {
    // Most are small whole numbers.
    if let 1..=9 = written.len()
        && written.iter().all(u8::is_ascii_digit)
    {
        return Some(f64::from(written.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'))));
    }
    let number: f64 = std::str::from_utf8(written).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}
