//! Many messages in one buffer.
//!
//! The buffer is a row of frames with plain headers, exactly what goes over the wire and into the
//! journal; beside it lies, for each message, where it begins and where its header fields are.
//! Written once, then shared and immutable.

use std::any::Any;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use super::Error;
use super::builder::Builder;
use super::frame;
use super::header::Header;
use super::source::Source;
use super::source::SourcePosition;
use super::view::Message;

/// One message in the buffer.
#[derive(Clone, Copy, Debug)]
struct Located {
    /// Where its frame begins.
    frame: u32,
    /// Where the message itself begins.
    start: u32,
    end: u32,
    marks: Marks,
    header: Header,
}

/// What is known of a message and has no place in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Number of the signer in [`Batch::signers`], counted from one; 0 is none.
    pub signer: u8,
    /// How many times what it derives from was injected.
    pub loops: u8,
}

/// The messages of one entry, in one buffer.
#[derive(Debug, Default)]
pub struct Batch {
    buffer: Vec<u8>,
    messages: Vec<Located>,
    signers: Vec<Arc<str>>,
    reached: Vec<(Source, SourcePosition)>,
    answer: Answer,
}

impl Batch {
    /// At most so many messages are put into one batch.
    pub const MAX_MESSAGES: usize = 256;
    /// A batch is closed when its buffer reaches this size, in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// An empty batch.
    #[must_use]
    pub fn new() -> Batch {
        Batch::default()
    }

    /// An empty batch with room for as much as `like` holds.
    #[must_use]
    pub fn sized_like(like: &Batch) -> Batch {
        Batch {
            buffer: Vec::with_capacity(like.buffer.len() + like.buffer.len() / 8),
            messages: Vec::with_capacity(like.messages.len()),
            ..Batch::default()
        }
    }

    /// The batch without anything in it, but with the memory it had.
    #[must_use]
    pub fn emptied(self) -> Batch {
        let Batch { mut buffer, mut messages, .. } = self;
        buffer.clear();
        messages.clear();
        Batch { buffer, messages, ..Batch::default() }
    }

    /// Takes over a buffer of frames with plain headers.
    ///
    /// # Errors
    /// When a frame is not whole or a message in it is damaged.
    pub fn from_frames(buffer: Vec<u8>) -> Result<Batch, Error> {
        let mut batch = Batch { buffer, ..Batch::default() };
        let mut at = 0;
        while at < batch.buffer.len() {
            let frame::Step::Frame { message, length, .. } =
                frame::step(&batch.buffer[at..], u32::MAX as usize)
            else {
                return Err(Error::Truncated { at });
            };
            let header = Header::locate(message)?;
            let start = at + length - message.len();
            batch.messages.push(Located {
                frame: narrow(at)?,
                start: narrow(start)?,
                end: narrow(at + length)?,
                marks: Marks::default(),
                header,
            });
            at += length;
        }
        Ok(batch)
    }

    /// Begins a message, to be written into the batch.
    pub fn begin(&mut self) -> Builder<'_> {
        Builder::begin(self)
    }

    /// Appends an encoded message as it is.
    ///
    /// # Errors
    /// When it is damaged; the batch is then unchanged.
    pub fn push_encoded(&mut self, message: &[u8], marks: Marks) -> Result<(), Error> {
        let header = Header::locate(message)?;
        self.push_located(message, header, marks)
    }

    /// Appends an encoded message whose header has been found.
    ///
    /// # Errors
    /// When the batch would exceed 4 GiB; the batch is then unchanged.
    pub fn push_located(
        &mut self,
        message: &[u8],
        header: Header,
        marks: Marks,
    ) -> Result<(), Error> {
        let at = self.buffer.len();
        narrow(at + message.len() + frame::MAX_OVERHEAD)?;
        frame::put(&mut self.buffer, message);
        let end = self.buffer.len();
        self.messages.push(Located {
            frame: narrow(at)?,
            start: narrow(end - message.len())?,
            end: narrow(end)?,
            marks,
            header,
        });
        Ok(())
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Tells whether there is no message; sources may still have been reached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Tells whether the batch has to be closed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.messages.len() >= Batch::MAX_MESSAGES || self.buffer.len() >= Batch::MAX_BYTES
    }

    /// The message at `index`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn message(&self, index: usize) -> Message<'_> {
        let located = &self.messages[index];
        Message::new(&self.buffer[located.start as usize..located.end as usize], &located.header)
    }

    /// What is known of the message at `index` besides itself.
    #[must_use]
    pub fn marks(&self, index: usize) -> Marks {
        self.messages[index].marks
    }

    /// Who signed the message at `index`.
    #[must_use]
    pub fn signer(&self, index: usize) -> Option<&Arc<str>> {
        let number = usize::from(self.messages[index].marks.signer);
        self.signers.get(number.checked_sub(1)?)
    }

    /// The number that stands for `name` in [`Marks::signer`]; 0 when more than 255 have signed.
    pub fn signer_number(&mut self, name: &str) -> u8 {
        let known = self.signers.iter().position(|signer| &**signer == name);
        let index = known.unwrap_or_else(|| {
            self.signers.push(Arc::from(name));
            self.signers.len() - 1
        });
        u8::try_from(index + 1).unwrap_or(0)
    }

    /// All signers, in the order of their numbers.
    #[must_use]
    pub fn signers(&self) -> &[Arc<str>] {
        &self.signers
    }

    /// Sets what was kept of the message at `index`, when a batch is read back.
    pub fn mark(&mut self, index: usize, marks: Marks) {
        self.messages[index].marks = marks;
    }

    /// The messages, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Message<'_>> {
        (0..self.len()).map(|index| self.message(index))
    }

    /// The framed message at `index`.
    #[must_use]
    pub fn frame(&self, index: usize) -> &[u8] {
        self.frames(index..index + 1)
    }

    /// The frames of several neighbours, as they follow each other on the wire.
    #[must_use]
    pub fn frames(&self, range: std::ops::Range<usize>) -> &[u8] {
        if range.is_empty() {
            return &[];
        }
        let start = self.messages[range.start].frame as usize;
        &self.buffer[start..self.messages[range.end - 1].end as usize]
    }

    /// The whole buffer: every frame.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// How many bytes of memory the batch takes, about.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.buffer.capacity() + self.messages.capacity() * size_of::<Located>()
    }

    /// Notes how far a source has been read when this batch is whole; the last call counts.
    pub fn reach(&mut self, source: &Source, position: SourcePosition) {
        match self.reached.iter_mut().find(|(known, _)| known == source) {
            Some((_, reached)) => *reached = position,
            None => self.reached.push((source.clone(), position)),
        }
    }

    /// The sources of the batch, and how far each has been read.
    #[must_use]
    pub fn reached(&self) -> &[(Source, SourcePosition)] {
        &self.reached
    }

    /// Takes away the messages from `len` on.
    pub fn truncate(&mut self, len: usize) {
        if let Some(first) = self.messages.get(len) {
            self.buffer.truncate(first.frame as usize);
            self.messages.truncate(len);
        }
    }

    /// The place for the matcher's answer.
    #[must_use]
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    pub(super) fn buffer_mut(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub(super) fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// Enters the message that a builder has written behind `frame`.
    pub(super) fn enter(
        &mut self,
        frame: usize,
        start: usize,
        header: Header,
        marks: Marks,
    ) -> Result<(), Error> {
        let end = narrow(self.buffer.len())?;
        self.messages.push(Located {
            frame: narrow(frame)?,
            start: narrow(start)?,
            end,
            marks,
            header,
        });
        Ok(())
    }
}

fn narrow(at: usize) -> Result<u32, Error> {
    u32::try_from(at).map_err(|_| Error::TooLarge)
}

/// A place where the first reader leaves what the matchers answered, for the others to find.
#[derive(Debug, Default)]
pub struct Answer {
    slot: Mutex<Option<(u64, Arc<dyn Any + Send + Sync>)>>,
}

impl Answer {
    /// What was left by an index of the same generation.
    #[must_use]
    pub fn left(&self, generation: u64) -> Option<Arc<dyn Any + Send + Sync>> {
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().filter(|(left, _)| *left == generation).map(|(_, answer)| answer.clone())
    }

    /// Leaves an answer, in place of an older one.
    pub fn leave(&self, generation: u64, answer: Arc<dyn Any + Send + Sync>) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some((generation, answer));
    }
}
