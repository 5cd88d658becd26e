//! Text that is filled from messages: an index, an address, a body.

use serde::Deserialize;
use serde::Deserializer;

use super::template::Template;
use super::view::Message;
use crate::stdx::strftime;
use crate::stdx::strftime::Strftime;

const SECOND: i64 = 1_000_000_000;

/// A text with places: `%{Hostname}` and the like, as [`Template::put_message`] knows them, `%{name}`
/// for the first value of a field, and `%{%Y.%m.%d}` for a time, in UTC.
#[derive(Clone, Debug)]
pub struct Places {
    written: String,
    template: Template,
    /// The names of the places that are times.
    times: Vec<Time>,
}

/// A time in the text, and how it was written last: the times of a log follow each other.
#[derive(Clone, Debug)]
struct Time {
    name: String,
    pattern: Strftime,
    /// Whether the text changes once a second at most.
    is_coarse: bool,
    last: (i64, String),
}

/// A place that a message has nothing for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the message has no `{0}`, which `%{{{0}}}` asks for")]
pub struct Missing(pub String);

impl Places {
    /// Reads a text with places.
    ///
    /// # Errors
    /// When a time in it is no pattern of strftime.
    pub fn parse(text: &str) -> Result<Places, strftime::Error> {
        let template = Template::braced(text);
        let mut times = Vec::new();
        for name in template.names().filter(|name| name.contains('%')) {
            let pattern = Strftime::parse(name)?;
            let last = (0, pattern.text(0));
            let is_coarse = !name.contains('f') && !name.contains('+');
            times.push(Time { name: name.to_owned(), pattern, is_coarse, last });
        }
        Ok(Places { written: text.to_owned(), template, times })
    }

    /// The text as it was written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Tells whether there is no place in it.
    pub fn is_fixed(&self) -> bool {
        self.template.names().next().is_none()
    }

    /// Tells whether the text looks at messages at all, or only at the time.
    pub fn reads_messages(&self) -> bool {
        self.template.names().any(|name| !name.contains('%'))
    }

    /// Appends the text for `message`, with `time` in nanoseconds since the epoch where it has
    /// times; `escape` appends what comes from outside.
    ///
    /// # Errors
    /// When the message lacks something; what was appended is of no use then.
    pub fn put(
        &mut self,
        message: &Message<'_>,
        time: i64,
        escape: fn(&[u8], &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) -> Result<(), Missing> {
        let mut missing = None;
        let mut value = Vec::new();
        let times = &mut self.times;
        self.template.put(out, &mut |name, out| {
            if let Some(pattern) = times.iter_mut().find(|time| time.name == name) {
                pattern.put(time, out);
                return true;
            }
            value.clear();
            if super::template::put_variable(message, name, &mut value) {
                escape(&value, out);
            } else {
                missing.get_or_insert_with(|| Missing(name.to_owned()));
            }
            true
        });
        missing.map_or(Ok(()), Err)
    }
}

impl Time {
    fn put(&mut self, nanoseconds: i64, out: &mut Vec<u8>) {
        let last = &mut self.last;
        let second = nanoseconds.div_euclid(SECOND);
        if second != last.0 || !self.is_coarse {
            last.0 = second;
            last.1.clear();
            self.pattern.put(nanoseconds, &mut last.1);
        }
        out.extend_from_slice(last.1.as_bytes());
    }
}

/// Appends as it is: for [`Places::put`].
pub fn verbatim(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(text);
}

impl<'de> Deserialize<'de> for Places {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Places, D::Error> {
        let text = String::deserialize(from)?;
        Places::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Places {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Places".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "a text, with places such as `%{Hostname}`, `%{field}` or `%{%Y.%m.%d}`"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Batch;

    fn check(text: &str, time: i64, expected: Result<&str, &str>) {
        let mut batch = Batch::new();
        let mut builder = batch.begin();
        builder.message_type(b"T").string("s", "", b"a b").integer("n", "", -3);
        builder.finish().unwrap();
        let mut places = Places::parse(text).unwrap();
        for _ in 0..2 {
            let mut out = Vec::new();
            let put = places.put(&batch.message(0), time, verbatim, &mut out);
            let text = String::from_utf8(out).unwrap();
            let found = put.map(|()| text).map_err(|Missing(name)| name);
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
        }
    }

    #[test]
    fn places_are_filled_from_the_message_and_the_time() {
        check("plain", 0, Ok("plain"));
        check("%{Type}-%{s}-%{n}", 0, Ok("T-a b--3"));
        check("i-%{%Y.%m.%d}", 1_416_840_893_000_000_000, Ok("i-2014.11.24"));
        check("%{%H:%M:%S%.3f}", 1_416_840_893_250_000_000, Ok("14:54:53.250"));
        check("%{%Y}", -1, Ok("1969"));
        check("%{Type}-%{x}", 0, Err("x"));
    }

    #[test]
    fn a_time_that_is_none_is_told() {
        assert!(Places::parse("%{%Y-%!}").is_err());
        let fixed = |text| Places::parse(text).unwrap();
        assert!(fixed("100%").is_fixed());
        assert!(!fixed("%{%Y}").is_fixed() && !fixed("%{%Y}").reads_messages());
        assert!(fixed("%{Type}").reads_messages());
    }
}
