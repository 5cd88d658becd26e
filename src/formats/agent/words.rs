//! What the two sides say, frame by frame.

use super::BATCH_HEAD;
use super::Error;
use super::Head;
use super::VERSION;
use super::put_with;

/// Opens the body of a hello, so that no other protocol is taken for this one.
pub(super) const HEKA: &[u8; 4] = b"HEKA";
/// The flag of an agent that has other aggregators.
const HAS_OTHERS: u8 = 1;
/// The flag of an agent whose journal has lost its end.
const HAS_LOST_ITS_END: u8 = 2;

pub(super) const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const BATCH: u8 = 3;
const ACK: u8 = 4;
const PING: u8 = 5;
const PONG: u8 = 6;
const REFUSAL: u8 = 7;

/// How an agent introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Whether it may also send to another aggregator.
    pub has_others: bool,
    /// Whether its journal has lost its end: what the aggregator knows of it no longer counts.
    pub has_lost_its_end: bool,
    /// The id of its journal.
    pub journal: [u8; 16],
    /// How far it has been acknowledged, by whomever.
    pub acknowledged: u64,
    /// The number of its run; 0 is unknown.
    pub run: u64,
    /// The name of its host.
    pub name: String,
    /// The name of the output.
    pub stream: String,
}

/// How an aggregator answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The id of its journal.
    pub journal: [u8; 16],
    /// The largest batch it takes, uncompressed, in bytes.
    pub largest: u32,
    /// How many bytes of batches may be on their way, uncompressed.
    pub window: u32,
    /// How far it has this source, where it knows it.
    pub position: Option<u64>,
    /// The run of the agent that this was sent by; 0 is unknown.
    pub run: u64,
}

/// What is said of a batch before its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchHead {
    /// The id of the agent's journal.
    pub journal: [u8; 16],
    /// The last entry of what was sent before.
    pub before: u64,
    /// From this entry on nothing was missed.
    pub first: u64,
    /// The last entry of this batch.
    pub last: u64,
    /// Bytes of the data when unpacked.
    pub plain: u32,
    /// Whether the data is compressed with zstd.
    pub is_compressed: bool,
}

/// A frame that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// See [`Hello`].
    Hello(Hello),
    /// See [`Welcome`].
    Welcome(Welcome),
    /// Records of the agent, and what is said of them.
    Batch(BatchHead, &'a [u8]),
    /// All up to this entry is durable.
    Ack(u64),
    /// The agent lives, and has passed over what lies up to `last`.
    Ping {
        /// From this entry on nothing was missed.
        first: u64,
        /// The last entry that was passed over; 0 says nothing.
        last: u64,
    },
    /// The aggregator lives.
    Pong,
    /// The other side does not go on.
    Refusal(String),
}

/// Understands the frame that `bytes` begins with.
///
/// # Errors
/// When its body is not what its kind says, or of another version.
pub fn word<'a>(head: &Head, bytes: &'a [u8]) -> Result<Word<'a>, Error> {
    let mut body = Body(head.body(bytes));
    let word = body.word(head.kind);
    match word {
        Err(Wrong::Version(version)) => Err(Error::Version(version)),
        Err(Wrong::Form) => Err(Error::Malformed(head.kind)),
        Ok(word) if body.0.is_empty() => Ok(word),
        Ok(_) => Err(Error::Malformed(head.kind)),
    }
}

/// Appends a frame of any kind but a batch.
pub fn put(out: &mut Vec<u8>, word: &Word<'_>) {
    let done: Result<(), std::convert::Infallible> = put_with(out, kind(word), |out| {
        match word {
            Word::Hello(hello) => put_hello(out, hello),
            Word::Welcome(welcome) => put_welcome(out, welcome),
            Word::Batch(head, data) => {
                put_batch_head(out, head);
                out.extend_from_slice(data);
            }
            Word::Ack(position) => out.extend_from_slice(&position.to_le_bytes()),
            Word::Ping { first, last } => {
                out.extend_from_slice(&first.to_le_bytes());
                out.extend_from_slice(&last.to_le_bytes());
            }
            Word::Pong => {}
            Word::Refusal(text) => put_text(out, text),
        }
        Ok(())
    });
    let Ok(()) = done;
}

/// Appends a batch whose data `write` appends, compressed where `head` says so.
///
/// # Errors
/// What `write` says; `out` is then as it was.
pub fn put_batch<E>(
    out: &mut Vec<u8>,
    head: &BatchHead,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    put_with(out, BATCH, |out| {
        put_batch_head(out, head);
        write(out)
    })
}

fn kind(word: &Word<'_>) -> u8 {
    match word {
        Word::Hello(_) => HELLO,
        Word::Welcome(_) => WELCOME,
        Word::Batch(..) => BATCH,
        Word::Ack(_) => ACK,
        Word::Ping { .. } => PING,
        Word::Pong => PONG,
        Word::Refusal(_) => REFUSAL,
    }
}

fn put_hello(out: &mut Vec<u8>, hello: &Hello) {
    out.extend_from_slice(HEKA);
    out.extend_from_slice(&VERSION.to_le_bytes());
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    out.push(flag(hello.has_others, HAS_OTHERS) | flag(hello.has_lost_its_end, HAS_LOST_ITS_END));
    out.extend_from_slice(&hello.journal);
    out.extend_from_slice(&hello.acknowledged.to_le_bytes());
    out.extend_from_slice(&hello.run.to_le_bytes());
    put_text(out, &hello.name);
    put_text(out, &hello.stream);
}

fn put_welcome(out: &mut Vec<u8>, welcome: &Welcome) {
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&welcome.journal);
    out.extend_from_slice(&welcome.largest.to_le_bytes());
    out.extend_from_slice(&welcome.window.to_le_bytes());
    out.push(u8::from(welcome.position.is_some()));
    out.extend_from_slice(&welcome.position.unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&welcome.run.to_le_bytes());
}

fn put_batch_head(out: &mut Vec<u8>, head: &BatchHead) {
    out.extend_from_slice(&head.journal);
    for position in [head.before, head.first, head.last] {
        out.extend_from_slice(&position.to_le_bytes());
    }
    out.extend_from_slice(&head.plain.to_le_bytes());
    out.push(u8::from(head.is_compressed));
    debug_assert!(out.len() >= BATCH_HEAD);
}

/// Appends a text, cut to 255 bytes, behind its length.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(255)];
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text.as_bytes());
}

/// What is left of a body.
struct Body<'a>(&'a [u8]);

/// Why a body cannot be read.
enum Wrong {
    Version(u16),
    Form,
}

impl<'a> Body<'a> {
    fn word(&mut self, kind: u8) -> Result<Word<'a>, Wrong> {
        Ok(match kind {
            HELLO => Word::Hello(self.hello()?),
            WELCOME => Word::Welcome(self.welcome()?),
            BATCH => {
                let head = self.batch_head()?;
                Word::Batch(head, std::mem::take(&mut self.0))
            }
            ACK => Word::Ack(self.long()?),
            PING => Word::Ping { first: self.long()?, last: self.long()? },
            PONG => Word::Pong,
            REFUSAL => Word::Refusal(self.text()?),
            _ => return Err(Wrong::Form),
        })
    }

    fn hello(&mut self) -> Result<Hello, Wrong> {
        if self.array()? != *HEKA {
            return Err(Wrong::Form);
        }
        self.version()?;
        let flags = self.byte()?;
        Ok(Hello {
            has_others: flags & HAS_OTHERS != 0,
            has_lost_its_end: flags & HAS_LOST_ITS_END != 0,
            journal: self.array()?,
            acknowledged: self.long()?,
            run: self.long()?,
            name: self.text()?,
            stream: self.text()?,
        })
    }

    fn welcome(&mut self) -> Result<Welcome, Wrong> {
        self.version()?;
        let journal = self.array()?;
        let (largest, window) = (self.short()?, self.short()?);
        let is_known = self.byte()? != 0;
        let position = self.long()?;
        let position = is_known.then_some(position);
        Ok(Welcome { journal, largest, window, position, run: self.long()? })
    }

    fn batch_head(&mut self) -> Result<BatchHead, Wrong> {
        let head = BatchHead {
            journal: self.array()?,
            before: self.long()?,
            first: self.long()?,
            last: self.long()?,
            plain: self.short()?,
            is_compressed: self.byte()? != 0,
        };
        let is_ordered = head.before <= head.last && head.first <= head.last.saturating_add(1);
        if is_ordered { Ok(head) } else { Err(Wrong::Form) }
    }

    /// A version there is; whoever speaks another has another form behind it.
    fn version(&mut self) -> Result<(), Wrong> {
        match u16::from_le_bytes(self.array()?) {
            VERSION => Ok(()),
            other => {
                self.0 = &[];
                Err(Wrong::Version(other))
            }
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Wrong::Form)?;
        self.0 = rest;
        Ok(*array)
    }

    fn byte(&mut self) -> Result<u8, Wrong> {
        self.array().map(|[byte]| byte)
    }

    fn short(&mut self) -> Result<u32, Wrong> {
        self.array().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Result<u64, Wrong> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, Wrong> {
        let length = usize::from(self.byte()?);
        let (text, rest) = self.0.split_at_checked(length).ok_or(Wrong::Form)?;
        self.0 = rest;
        Ok(std::str::from_utf8(text).map_err(|_| Wrong::Form)?.to_owned())
    }
}
