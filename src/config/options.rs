//! The options that every plugin of a family has, whatever its kind.
//!
//! What is left out stays `None` where a kind may have a default of its own.

use std::time::Duration;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::schema_for;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de;
use toml::Spanned;

use super::Family;
use super::Problem;
use super::Settings;
use crate::matcher::Matcher;
use crate::stdx::duration;
use crate::stdx::size;

/// The common options of one section, by its family.
#[derive(Clone, Debug)]
pub enum Common {
    /// Those of an input.
    Input(InputCommon),
    /// Those of a splitter.
    Splitter(SplitterCommon),
    /// A decoder has none.
    Decoder,
    /// Those of a filter.
    Filter(ReaderCommon),
    /// An encoder has none.
    Encoder,
    /// Those of an output: the same as a filter's, and what it writes.
    Output(ReaderCommon, OutputCommon),
}

const INPUT_KEYS: &[&str] = &[
    "decoder",
    "splitter",
    "synchronous_decode",
    "send_decode_failures",
    "log_decode_failures",
    "can_exit",
    "ticker_interval",
    "retries",
];

const SPLITTER_KEYS: &[&str] =
    &["keep_truncated", "use_message_bytes", "min_buffer_size", "deliver_incomplete_final"];

const READER_KEYS: &[&str] = &[
    "message_matcher",
    "message_signer",
    "ticker_interval",
    "can_exit",
    "use_buffering",
    "buffering",
    "start",
    "retries",
];

const WRITER_KEYS: &[&str] = &["encoder", "use_framing"];

const OUTPUT_KEYS: &[&str] = &[
    "message_matcher",
    "message_signer",
    "encoder",
    "use_framing",
    "ticker_interval",
    "can_exit",
    "use_buffering",
    "buffering",
    "start",
    "retries",
];

/// Returns the keys that every section of a family may have, besides `type`.
pub fn keys(family: Family) -> &'static [&'static str] {
    match family {
        Family::Input => INPUT_KEYS,
        Family::Splitter => SPLITTER_KEYS,
        Family::Filter => READER_KEYS,
        Family::Output => OUTPUT_KEYS,
        Family::Decoder | Family::Encoder => &[],
    }
}

/// Returns what is to be known of the common options of a family: JSON Schemas with descriptions and
/// defaults, one after the other.
pub fn schemas(family: Family) -> Vec<Schema> {
    match family {
        Family::Input => vec![schema_for!(InputCommon)],
        Family::Splitter => vec![schema_for!(SplitterCommon)],
        Family::Filter => vec![schema_for!(ReaderCommon)],
        Family::Output => vec![schema_for!(ReaderCommon), schema_for!(OutputCommon)],
        Family::Decoder | Family::Encoder => Vec::new(),
    }
}

/// What was read, or all that is wrong with it.
type Read<T> = Result<T, Vec<Problem>>;

impl Common {
    /// Returns the common options of a section that says nothing of them.
    pub(super) fn default_of(family: Family) -> Self {
        match family {
            Family::Input => Self::Input(InputCommon::default()),
            Family::Splitter => Self::Splitter(SplitterCommon::default()),
            Family::Decoder => Self::Decoder,
            Family::Filter => Self::Filter(ReaderCommon::default()),
            Family::Encoder => Self::Encoder,
            Family::Output => Self::Output(ReaderCommon::default(), OutputCommon::default()),
        }
    }

    /// Puts a matcher where there is none.
    pub(super) fn stand_in_for_matcher(&mut self) {
        if let Self::Filter(reader) | Self::Output(reader, _) = self {
            reader.message_matcher.get_or_insert_with(Matcher::always);
        }
    }

    /// Reads the common options of a section. `part` gives those settings that have one of the keys.
    pub(super) fn read(family: Family, part: &dyn Fn(&[&str]) -> Read<Settings>) -> Read<Self> {
        let reader = || part(READER_KEYS)?.read(|table| ReaderCommon::deserialize(table));
        match family {
            Family::Input => {
                part(INPUT_KEYS)?.read(|table| InputCommon::deserialize(table)).map(Self::Input)
            }
            Family::Splitter => part(SPLITTER_KEYS)?
                .read(|table| SplitterCommon::deserialize(table))
                .map(Self::Splitter),
            Family::Decoder => Ok(Self::Decoder),
            Family::Filter => reader().map(Self::Filter),
            Family::Encoder => Ok(Self::Encoder),
            Family::Output => {
                let writer = part(WRITER_KEYS)?.read(|table| OutputCommon::deserialize(table));
                match (reader(), writer) {
                    (Ok(reader), Ok(writer)) => Ok(Self::Output(reader, writer)),
                    (Err(mut first), Err(second)) => {
                        first.extend(second);
                        Err(first)
                    }
                    (Err(problems), _) | (_, Err(problems)) => Err(problems),
                }
            }
        }
    }
}

/// What every input has.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InputCommon {
    /// The section that decodes the records; a record is the payload of a message without one.
    #[schemars(with = "Option<String>")]
    pub decoder: Option<Spanned<String>>,
    /// The section that cuts the bytes into records.
    #[schemars(with = "Option<String>")]
    pub splitter: Option<Spanned<String>>,
    /// Has no effect: decoding always has threads of its own.
    pub synchronous_decode: Option<bool>,
    /// Whether a record that cannot be decoded becomes a message that says so.
    pub send_decode_failures: bool,
    /// Whether a record that cannot be decoded is logged.
    pub log_decode_failures: bool,
    /// Whether the engine goes on when this input ends.
    pub can_exit: Option<bool>,
    /// Time between two ticks, in seconds; 0 is never.
    #[serde(deserialize_with = "duration::optional_seconds")]
    #[schemars(with = "Option<duration::Written>")]
    pub ticker_interval: Option<Duration>,
    /// How it is started again after a failure.
    pub retries: Retries,
}

impl Default for InputCommon {
    fn default() -> Self {
        Self {
            decoder: None,
            splitter: None,
            synchronous_decode: None,
            send_decode_failures: false,
            log_decode_failures: true,
            can_exit: None,
            ticker_interval: None,
            retries: Retries::default(),
        }
    }
}

/// What every splitter has.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SplitterCommon {
    /// Whether a record longer than `max_message_size` is delivered, cut, rather than dropped.
    pub keep_truncated: bool,
    /// Whether the record is a message in bytes rather than the payload of one.
    pub use_message_bytes: Option<bool>,
    /// Bytes the buffer begins with.
    #[serde(deserialize_with = "size::optional_bytes")]
    #[schemars(with = "Option<size::Written>")]
    pub min_buffer_size: Option<u64>,
    /// Whether what is left at the end of a stream is delivered as a record.
    pub deliver_incomplete_final: Option<bool>,
}

/// What every reader of the journal has: filters and outputs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReaderCommon {
    /// Which messages it gets. Required, unless the kind says.
    pub message_matcher: Option<Matcher>,
    /// The signer whose messages alone it gets.
    pub message_signer: Option<String>,
    /// Time between two ticks, in seconds; 0 is never.
    #[serde(deserialize_with = "duration::optional_seconds")]
    #[schemars(with = "Option<duration::Written>")]
    pub ticker_interval: Option<Duration>,
    /// Whether the engine goes on when this plugin ends.
    pub can_exit: Option<bool>,
    /// Whether its place in the journal is kept; `false` makes it a reader of the tail that loses
    /// what it missed, and never holds the journal back.
    pub use_buffering: Option<bool>,
    /// How much of the journal may wait for it, and what happens then.
    pub buffering: Buffering,
    /// Where it begins to read when it is new.
    pub start: Start,
    /// How it is started again after a failure.
    pub retries: Retries,
}

/// What every output has besides.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutputCommon {
    /// The section that makes bytes of messages.
    #[schemars(with = "Option<String>")]
    pub encoder: Option<Spanned<String>>,
    /// Whether each record is framed as in a Heka stream; by default when the encoder gives messages.
    pub use_framing: Option<bool>,
}

/// How much of the journal may wait for one reader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Buffering {
    /// Bytes of the journal from its cursor to the end that count as full; 0 is the journal's budget.
    #[serde(deserialize_with = "size::bytes")]
    #[schemars(with = "size::Written")]
    pub max_buffer_size: u64,
    /// What happens when that much waits; the journal's setting if left out.
    pub full_action: Option<FullAction>,
    /// Has no effect: the journal has segments of one size.
    #[serde(deserialize_with = "size::optional_bytes")]
    #[schemars(with = "Option<size::Written>")]
    pub max_file_size: Option<u64>,
    /// Has no effect: a cursor is stored when that costs little.
    pub cursor_update_count: Option<u64>,
}

/// What happens when the journal is full for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FullAction {
    /// Inputs wait.
    Block,
    /// The reader furthest behind goes on to a later place.
    #[serde(alias = "drop")]
    DropOldest,
    /// The engine stops.
    Shutdown,
}

/// Where a new reader begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At the oldest entry there is.
    Oldest,
    /// At the next entry.
    #[default]
    End,
}

/// How a plugin that failed is started again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// The most that is added to each pause, at random.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub max_jitter: Duration,
    /// The longest pause.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub max_delay: Duration,
    /// The first pause; each one after it is twice as long.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub delay: Duration,
    /// How often it is started again, -1 for ever.
    #[serde(deserialize_with = "times")]
    #[schemars(with = "i64", extend("default" = -1))]
    pub max_retries: Option<u32>,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            max_jitter: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
            delay: Duration::from_millis(250),
            max_retries: None,
        }
    }
}

fn times<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    match i64::deserialize(from)? {
        -1 => Ok(None),
        number => u32::try_from(number).map(Some).map_err(|_| {
            de::Error::custom(format!("expected a number of times, or -1 for ever, found {number}"))
        }),
    }
}
