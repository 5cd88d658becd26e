//! `create_stream_reader`: finds the messages in a framed stream.

use std::any::Any;

use super::read_message;
use crate::message::Header;
use crate::message::Message;
use crate::message::frame;
use crate::message::frame::Step;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::files::LuaFile;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Object;
use crate::sandbox::raw::ObjectKind;
use crate::sandbox::raw::Value;

/// The kind of object.
pub(super) const KIND: ObjectKind = ObjectKind {
    tag: TAG,
    name: c"stream_reader",
    methods: &[
        (c"find_message", find_message),
        (c"decode_message", decode_message),
        (c"read_message", read),
    ],
    metamethods: &[],
    load: |_| None,
};

const TAG: u8 = 21;

/// The largest message, in bytes.
const MAX_MESSAGE: usize = 8 << 20;

/// How much is read of a file at a time, in bytes.
const CHUNK: usize = 64 * 1024;

/// Bytes of a stream, and the message found in them last.
#[derive(Debug)]
pub(super) struct StreamReader {
    name: String,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are done with.
    done: usize,
    message: Vec<u8>,
    has_message: bool,
}

impl StreamReader {
    /// The message that was found or decoded last.
    pub(super) fn message(&self) -> Option<&[u8]> {
        self.has_message.then_some(&self.message)
    }

    /// Takes in further bytes; what is done with goes.
    fn fill(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.done);
        self.done = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Looks for a message: whether one was found, the bytes passed over with it, and the bytes
    /// still needed for the one that has begun.
    fn find(&mut self, is_decoded: bool) -> (bool, usize, usize) {
        let start = self.done;
        loop {
            let rest = &self.buffer[self.done..];
            if rest.is_empty() {
                return (false, self.done - start, CHUNK);
            }
            match frame::step(rest, MAX_MESSAGE) {
                Step::Frame { message, length, .. } => {
                    let is_sound = !is_decoded || Header::locate(message).is_ok();
                    if is_sound {
                        self.message.clear();
                        self.message.extend_from_slice(message);
                        self.has_message = true;
                    }
                    self.done += length;
                    if is_sound {
                        return (true, self.done - start, 0);
                    }
                }
                Step::Incomplete { needed } => {
                    return (false, self.done - start, needed - rest.len());
                }
                Step::Garbage { skip } | Step::TooLarge { skip, .. } => self.done += skip,
            }
        }
    }
}

impl Object for StreamReader {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        self.buffer.capacity() + self.message.capacity() + self.name.len()
    }

    fn print(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }

    fn save(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &[u8]) -> Result<(), String> {
        Err("a stream reader is not kept".to_owned())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// `create_stream_reader(name)`.
pub(super) fn create_stream_reader<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let name = Call::function("create_stream_reader", args).text(1)?;
    let name = String::from_utf8_lossy(&name[..name.len().min(255)]).into_owned();
    cx.park(Box::new(StreamReader {
        name,
        buffer: Vec::new(),
        done: 0,
        message: Vec::new(),
        has_message: false,
    }));
    Ok(Answer::Parked)
}

/// `reader:find_message(bytes or file[, decode])` → whether a message was found, bytes passed over, and
/// bytes still needed; of a file the bytes read, 0 at its end.
fn find_message<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("find_message", args);
    let is_decoded = call.is_absent(2) || args.truth(3);
    let mut this = call.this::<StreamReader>()?;
    let mut found = this.find(is_decoded);
    let (mut consumed, mut last) = (found.1, found.2);
    if let Value::Object(_) = call.value(1) {
        let file = call.object::<LuaFile>(1, "string or file")?;
        last = 0;
        if !found.0 {
            let mut chunk = vec![0; CHUNK];
            last = file.lock().read_some(&mut chunk)?;
            this.fill(&chunk[..last]);
            found = this.find(is_decoded);
            consumed += found.1;
        }
    } else if !call.is_absent(1) {
        let bytes = call.text(1)?;
        if this.buffer.len() - this.done + bytes.len() > MAX_MESSAGE + CHUNK {
            return Err(call.refused(1, "source", "too much at once"));
        }
        call.admit(Some(bytes.len()))?;
        this.fill(bytes);
        if !found.0 {
            found = this.find(is_decoded);
            (consumed, last) = (consumed + found.1, found.2);
        }
    }
    drop(this);
    args.recount(1)?;
    let tape = &mut cx.tape;
    tape.clear();
    tape.bool(found.0);
    tape.number(consumed as f64);
    tape.number(last as f64);
    Ok(Answer::Tape(3))
}

/// `reader:decode_message(bytes)` loads one message without a frame; raises when it is none.
fn decode_message<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("decode_message", args);
    let bytes = call.text(1)?;
    call.admit(Some(bytes.len()))?;
    Header::locate(bytes).map_err(|error| call.refused(1, "message", error))?;
    let mut this = call.this::<StreamReader>()?;
    this.message.clear();
    this.message.extend_from_slice(bytes);
    this.has_message = true;
    drop(this);
    args.recount(1)?;
    Ok(Answer::Nothing)
}

/// `reader:read_message(name[, field_index[, array_index]])` reads of the message found last.
fn read<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("read_message", args);
    let Some((text, selector)) = args.selector(2) else {
        return Err(call.wrong(1, "string"));
    };
    let Some(mut selector) = selector else { return Ok(Answer::Nil) };
    let (field, value) = (read_message::FIELD_INDEX, read_message::ARRAY_INDEX);
    selector.field = read_message::index(&call, 2, field)?.unwrap_or(selector.field);
    selector.value = read_message::index(&call, 3, value)?.unwrap_or(selector.value);
    let this = call.this::<StreamReader>()?;
    let Some(bytes) = this.message() else { return Ok(Answer::Nil) };
    let header = Header::locate(bytes).map_err(|error| error.to_string())?;
    let mut scratch = std::mem::take(&mut cx.scratch);
    let answer =
        read_message::of_message(Message::new(bytes, &header), text, selector, &mut scratch);
    // The object may be lent to nobody when the answer is pushed, so it is written down.
    let tape = &mut cx.tape;
    tape.clear();
    match answer {
        Answer::Text(text) => tape.text(text),
        Answer::Number(number) => tape.number(number),
        Answer::Bool(truth) => tape.bool(truth),
        _ => tape.nil(),
    }
    cx.scratch = scratch;
    Ok(Answer::Tape(1))
}
