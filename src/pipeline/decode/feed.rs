//! From bytes to messages in the open batch.

use super::batching::Open;
use super::stream::Stream;
use crate::message::Batch;
use crate::message::Draft;
use crate::message::Marks;
use crate::message::SourcePosition;
use crate::message::Uuids;
use crate::message::Value;
use crate::message::frame;
use crate::plugin::Cut;
use crate::plugin::Form;
use crate::plugin::Origin;
use crate::plugin::Quiet;
use crate::plugin::Record;

/// How much is first added to the beginning of a record that was left over, to find its end.
const COMPLETION: usize = 2 * 1024;
/// The longest text of a decode error that goes into a message.
const MAX_ERROR: usize = 500;

/// One job's worth of feeding.
pub(super) struct Feed<'a> {
    pub(super) open: &'a mut Open,
    pub(super) uuids: &'a mut Uuids,
    pub(super) now: i64,
    pub(super) number: u64,
}

/// Bytes that were passed over one after the other: it is said once, whatever is sent.
#[derive(Default)]
struct PassedOver {
    /// Where the first were, in the source and in what was fed, and why.
    first: Option<(u64, usize, String)>,
    times: u64,
}

impl PassedOver {
    fn add(&mut self, offset: u64, at: usize, reason: String) {
        self.times += 1;
        self.first.get_or_insert((offset, at, reason));
    }

    fn report(self, stream: &Stream) {
        let Some((offset, at, reason)) = self.first else { return };
        stream.plan.counters.dropped.add(self.times);
        tracing::warn!(
            input = &*stream.plan.input,
            offset,
            at,
            reason,
            times = self.times,
            "bytes were passed over"
        );
    }
}

/// A record as cut, before it is decoded.
struct Piece<'a> {
    bytes: &'a [u8],
    form: Form,
    signer: Option<usize>,
    origin: Option<&'a Origin>,
}

impl Feed<'_> {
    /// Splits the next bytes of a stream.
    pub(super) fn bytes(&mut self, stream: &mut Stream, bytes: &[u8]) {
        stream.plan.counters.bytes.add(bytes.len() as u64);
        let mut rest = self.complete(stream, bytes);
        let used = self.cut_all(stream, rest, false, None);
        rest = &rest[used..];
        if !rest.is_empty() {
            stream.carry.extend_from_slice(rest);
            self.bound_carry(stream);
        }
        self.open.touch(self.number, stream);
    }

    /// Finds the end of the record that was left over; gives the bytes behind it.
    ///
    /// Only as much is copied behind the carried bytes as it takes.
    fn complete<'b>(&mut self, stream: &mut Stream, bytes: &'b [u8]) -> &'b [u8] {
        let mut rest = bytes;
        let mut step = COMPLETION;
        while !stream.carry.is_empty() && !rest.is_empty() {
            let had = stream.carry.len();
            let added = rest.len().min(step);
            let mut carry = std::mem::take(&mut stream.carry);
            carry.extend_from_slice(&rest[..added]);
            let used = self.cut_all(stream, &carry, false, None);
            if used >= had {
                carry.clear();
                stream.carry = carry;
                return &rest[used - had..];
            }
            carry.drain(..used);
            stream.carry = carry;
            rest = &rest[added..];
            step *= 2;
            self.bound_carry(stream);
        }
        rest
    }

    /// Splits something whole.
    pub(super) fn whole(&mut self, stream: &mut Stream, bytes: &[u8], origin: Option<&Origin>) {
        stream.plan.counters.bytes.add(bytes.len() as u64);
        self.open.hurry();
        let used = self.cut_all(stream, bytes, false, origin);
        let used = used + self.cut_all(stream, &bytes[used..], true, origin);
        if used < bytes.len() {
            Self::drop_rest(stream, bytes.len() - used, "the end of a record is missing");
        }
        self.open.touch(self.number, stream);
    }

    /// Takes whole frames into one entry, together with where the source then is.
    pub(super) fn frames(&mut self, stream: &mut Stream, bytes: &[u8], position: SourcePosition) {
        stream.is_broken |= stream.refused != self.open.refused();
        if stream.is_broken {
            return;
        }
        stream.plan.counters.bytes.add(bytes.len() as u64);
        self.open.make_room(bytes.len());
        let mut at = 0;
        let mut messages = 0;
        while at < bytes.len() {
            let frame::Step::Frame { message, length, .. } =
                frame::step(&bytes[at..], stream.max_record)
            else {
                Self::report_lost(stream, at, "it is no frame, or too long");
                break;
            };
            at += length;
            let piece = Piece { bytes: message, form: Form::Message, signer: None, origin: None };
            messages += self.decode(stream, &piece);
        }
        stream.plan.counters.messages.add(messages);
        stream.position = position;
        self.open.touch(self.number, stream);
        self.open.append_if_full();
    }

    /// Takes over messages that are ready; none at all move the position alone.
    pub(super) fn messages(&mut self, stream: &mut Stream, batch: &Batch) {
        for index in 0..batch.len() {
            let message = batch.message(index);
            let pushed = self.open.batch.push_located(
                message.bytes(),
                *message.header(),
                Marks { signer: 0, loops: batch.marks(index).loops },
            );
            if pushed.is_ok() {
                stream.plan.counters.messages.add(1);
            }
            self.open.touch(self.number, stream);
            self.open.append_if_full();
        }
        if batch.is_empty() {
            self.open.touch(self.number, stream);
        }
    }

    /// Takes over messages, after the decoder has gone on with each where there is one.
    pub(super) fn undecoded(&mut self, stream: &mut Stream, batch: &Batch) {
        if stream.decoding.is_none() || batch.is_empty() {
            return self.messages(stream, batch);
        }
        for index in 0..batch.len() {
            let bytes = batch.message(index).bytes();
            let piece = Piece { bytes, form: Form::Message, signer: None, origin: None };
            let messages = self.decode(stream, &piece);
            stream.plan.counters.messages.add(messages);
            self.open.touch(self.number, stream);
            self.open.append_if_full();
        }
    }

    /// Ends the bytes of a stream.
    pub(super) fn end(&mut self, stream: &mut Stream, keep_incomplete: bool) {
        let carry = std::mem::take(&mut stream.carry);
        if carry.is_empty() {
            stream.splitting.forget();
            stream.is_skipping = false;
            return;
        }
        if keep_incomplete || stream.deliver_incomplete_final {
            let used = self.cut_all(stream, &carry, true, None);
            if used < carry.len() {
                Self::drop_rest(stream, carry.len() - used, "the end of a record is missing");
            }
        } else {
            Self::drop_rest(stream, carry.len(), "the stream ended within a record");
        }
        stream.splitting.forget();
        stream.is_skipping = false;
        self.open.touch(self.number, stream);
    }

    /// Cuts and decodes all whole records; says how many bytes they took.
    fn cut_all(
        &mut self,
        stream: &mut Stream,
        bytes: &[u8],
        is_end: bool,
        origin: Option<&Origin>,
    ) -> usize {
        let mut at = 0;
        let mut messages = 0;
        let mut passed_over = PassedOver::default();
        while at < bytes.len() {
            match stream.splitting.cut(&bytes[at..], is_end) {
                Cut::Record { record, consumed, form, signer } => {
                    let piece = &bytes[at + record.start..at + record.end];
                    at += consumed.max(1);
                    stream.position.offset += consumed as u64;
                    if std::mem::take(&mut stream.is_skipping) {
                        continue;
                    }
                    messages += self.decode(stream, &Piece { bytes: piece, form, signer, origin });
                    if self.open.batch.is_full() {
                        self.open.touch(self.number, stream);
                        self.open.append();
                    }
                }
                Cut::Skip { consumed, lost } => {
                    if let Some(reason) = lost {
                        passed_over.add(stream.position.offset, at, reason);
                    }
                    at += consumed.max(1);
                    stream.position.offset += consumed as u64;
                }
                Cut::More => break,
            }
        }
        passed_over.report(stream);
        stream.plan.counters.messages.add(messages);
        at.min(bytes.len())
    }

    /// Decodes one record; says how many messages came of it.
    fn decode(&mut self, stream: &mut Stream, piece: &Piece<'_>) -> u64 {
        let mut bytes = piece.bytes;
        if bytes.len() > stream.max_record {
            Self::report_long(stream, bytes.len());
            if !stream.keep_truncated {
                return 0;
            }
            bytes = &bytes[..stream.plan.engine.max_message_size];
        }
        let signer = piece.signer.and_then(|number| stream.splitting.signer(number));
        let marks = Marks {
            signer: signer.map_or(0, |name| self.open.batch.signer_number(name)),
            loops: 0,
        };
        let form = match (piece.form, stream.use_message_bytes) {
            (Form::Payload, Some(true)) => Form::Message,
            (Form::Message, Some(false)) => Form::Payload,
            (form, _) => form,
        };
        let record = Record {
            bytes,
            form,
            origin: piece.origin.unwrap_or(&stream.plan.origin),
            now: self.now,
            uuid: self.uuids.make(),
            marks,
        };
        let before = self.open.batch.len();
        let decoded = match &mut stream.decoding {
            None => record.write(&mut self.open.batch).map_err(anyhow::Error::from),
            Some(decoding) => decoding.decode(&record, &mut self.open.batch),
        };
        if let Err(error) = decoded {
            self.open.batch.truncate(before);
            stream.plan.counters.decode_failures.add(1);
            self.undecodable(stream, &record, &error);
        }
        (self.open.batch.len() - before) as u64
    }

    /// Logs a record that could not be decoded, and sends it on where that is asked for.
    fn undecodable(&mut self, stream: &Stream, record: &Record<'_>, error: &anyhow::Error) {
        let mut text = format!("{error:#}");
        text.truncate(text.floor_char_boundary(MAX_ERROR));
        if stream.plan.failures.log && !error.is::<Quiet>() {
            stream.plan.undecoded.failed(&text, 1);
            tracing::warn!(
                input = &*stream.plan.input,
                decoder = stream.plan.decoder.as_deref().unwrap_or_default(),
                error = text,
                "cannot decode a record"
            );
        }
        if stream.plan.failures.send {
            let mut draft = Draft::default();
            let plain = Record { form: Form::Payload, ..*record };
            if plain.draft(&mut draft).is_ok() {
                draft.push(b"decode_failure", b"", Value::Bool(true));
                draft.push(b"decode_error", b"", Value::String(text.as_bytes()));
                let _ = draft.write(&mut self.open.batch);
            }
        }
    }

    /// Keeps what is carried below the longest record.
    fn bound_carry(&mut self, stream: &mut Stream) {
        if stream.carry.len() <= stream.max_record {
            return;
        }
        let carry = std::mem::take(&mut stream.carry);
        if !stream.is_skipping {
            if stream.keep_truncated {
                let cut = stream.plan.engine.max_message_size;
                let piece =
                    Piece { bytes: &carry[..cut], form: Form::Payload, signer: None, origin: None };
                let messages = self.decode(stream, &piece);
                stream.plan.counters.messages.add(messages);
            }
            Self::report_long(stream, carry.len());
        }
        stream.position.offset += carry.len() as u64;
        stream.splitting.forget();
        stream.is_skipping = true;
    }

    fn report_long(stream: &Stream, length: usize) {
        stream.plan.counters.dropped.add(1);
        let kept = if stream.keep_truncated { "truncated" } else { "dropped" };
        tracing::warn!(
            input = &*stream.plan.input,
            length,
            max = stream.max_record,
            "a record exceeds the largest and was {kept}"
        );
    }

    fn report_lost(stream: &Stream, at: usize, reason: &str) {
        let mut passed_over = PassedOver::default();
        passed_over.add(stream.position.offset, at, reason.to_owned());
        passed_over.report(stream);
    }

    fn drop_rest(stream: &mut Stream, length: usize, reason: &str) {
        stream.position.offset += length as u64;
        Self::report_lost(stream, 0, reason);
    }
}
