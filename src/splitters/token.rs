//! `TokenSplitter`: a byte ends each record.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;

use crate::plugin::Cut;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Form;
use crate::plugin::Splitter;
use crate::plugin::Splitting;

/// Ends a record at a byte, by default at the end of a line; the byte stays on the record.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenSplitter {
    /// The byte that ends a record: exactly one.
    #[serde(default = "newline", deserialize_with = "one_byte")]
    #[schemars(with = "String")]
    delimiter: Delimiter,
    /// How many such bytes make one record.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    count: std::num::NonZeroU32,
}

/// One byte, shown as text.
#[derive(Clone, Copy, Debug)]
struct Delimiter(u8);

impl serde::Serialize for Delimiter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_char(char::from(self.0))
    }
}

fn newline() -> Delimiter {
    Delimiter(b'\n')
}

fn one() -> std::num::NonZeroU32 {
    std::num::NonZeroU32::MIN
}

fn one_byte<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Delimiter, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.as_bytes() {
        &[byte] => Ok(Delimiter(byte)),
        bytes => Err(D::Error::custom(format!(
            "delimiter must be exactly one byte, {text:?} has {}",
            bytes.len()
        ))),
    }
}

impl Described for TokenSplitter {
    const NAME: &'static str = "TokenSplitter";
    const ABOUT: &'static str = "Ends a record at a byte, by default at the end of a line.";
    const EXAMPLE: &'static str = "[TokenSplitter]\ndelimiter = \"\\n\"\ncount = 1\n";
}

impl Splitter for TokenSplitter {
    fn start(&self, _engine: &Engine) -> anyhow::Result<Box<dyn Splitting>> {
        Ok(Box::new(Tokens {
            delimiter: self.delimiter.0,
            count: self.count.get(),
            searched: 0,
            found: 0,
        }))
    }
}

struct Tokens {
    delimiter: u8,
    count: u32,
    /// How far the bytes have been searched.
    searched: usize,
    /// How many delimiters have been found in there.
    found: u32,
}

impl Tokens {
    fn record(&mut self, length: usize) -> Cut {
        self.searched = 0;
        self.found = 0;
        Cut::Record { record: 0..length, consumed: length, form: Form::Payload, signer: None }
    }
}

impl Splitting for Tokens {
    fn cut(&mut self, bytes: &[u8], is_end: bool) -> Cut {
        while let Some(unsearched) = bytes.get(self.searched..) {
            let Some(at) = memchr::memchr(self.delimiter, unsearched) else { break };
            self.searched += at + 1;
            self.found += 1;
            if self.found == self.count {
                return self.record(self.searched);
            }
        }
        if is_end {
            return self.record(bytes.len());
        }
        self.searched = bytes.len();
        Cut::More
    }

    fn forget(&mut self) {
        self.searched = 0;
        self.found = 0;
    }
}
