//! Heka's stream framing around what an encoder gives, for outputs with `use_framing`.

use super::States;
use super::encoder::Encoded;
use super::encoder::Encoding;
use crate::message::Batch;
use crate::message::Message;
use crate::message::frame;

/// Puts a frame around each record of `encoding`.
///
/// `gives_messages` is what [`super::Encoder::gives_messages`] says: the messages stand framed in
/// their batch already and are copied from there, neighbours together.
pub fn framed(encoding: Box<dyn Encoding>, gives_messages: bool) -> Box<dyn Encoding> {
    if gives_messages {
        return Box::new(Frames);
    }
    Box::new(Framed { encoding, record: Vec::new() })
}

/// Messages as they stand in their batch.
struct Frames;

impl Encoding for Frames {
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        frame::put(out, message.bytes());
        Ok(true)
    }

    fn encode_batch(
        &mut self,
        batch: &Batch,
        matched: &[u16],
        out: &mut Encoded,
        _on_failure: &mut dyn FnMut(u16, anyhow::Error),
    ) {
        for run in matched.chunk_by(|one, next| u32::from(*one) + 1 == u32::from(*next)) {
            let (first, last) = (usize::from(run[0]), usize::from(run[run.len() - 1]));
            let mut end = out.bytes.len();
            out.bytes.extend_from_slice(batch.frames(first..last + 1));
            for index in first..=last {
                end += batch.frame(index).len();
                out.ends.push(u32::try_from(end).unwrap_or(u32::MAX));
            }
        }
    }
}

/// The records of another encoder, each in a frame.
struct Framed {
    encoding: Box<dyn Encoding>,
    /// The record before it is framed; kept for its room.
    record: Vec<u8>,
}

impl Encoding for Framed {
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        self.record.clear();
        let is_wanted = self.encoding.encode(message, &mut self.record)?;
        if is_wanted {
            frame::put(out, &self.record);
        }
        Ok(is_wanted)
    }

    fn hand_on(&mut self, states: &mut States) {
        self.encoding.hand_on(states);
    }

    fn take_over(&mut self, states: &States) -> anyhow::Result<()> {
        self.encoding.take_over(states)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Payloads;

    impl Encoding for Payloads {
        fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
            anyhow::ensure!(message.payload() != b"bad", "it is bad");
            out.extend_from_slice(message.payload());
            Ok(message.payload() != b"none")
        }
    }

    fn batch(payloads: &[&str]) -> Batch {
        let mut batch = Batch::new();
        for payload in payloads {
            let mut builder = batch.begin();
            builder.payload(payload.as_bytes());
            builder.finish().unwrap();
        }
        batch
    }

    fn unframed(encoded: &Encoded) -> Vec<Vec<u8>> {
        let one = |record: &[u8]| match frame::step(record, usize::MAX) {
            frame::Step::Frame { message, length, .. } if length == record.len() => {
                message.to_vec()
            }
            other => panic!("{other:?}"),
        };
        encoded.records().map(one).collect()
    }

    #[test]
    fn messages_are_copied_as_they_stand() {
        let batch = batch(&["a", "b", "c", "d", "e"]);
        let mut out = Encoded::default();
        framed(Box::new(Payloads), true).encode_batch(
            &batch,
            &[0, 1, 3, 4],
            &mut out,
            &mut |_, _| panic!("no message fails"),
        );
        let expected: Vec<_> =
            [0, 1, 3, 4].iter().map(|&index| batch.message(index).bytes().to_vec()).collect();
        assert_eq!(unframed(&out), expected);
    }

    #[test]
    fn records_are_framed_one_by_one() {
        let batch = batch(&["a", "bad", "none", "d"]);
        let mut out = Encoded::default();
        let mut failed = Vec::new();
        framed(Box::new(Payloads), false).encode_batch(
            &batch,
            &[0, 1, 2, 3],
            &mut out,
            &mut |index, error| failed.push((index, error.to_string())),
        );
        assert_eq!(unframed(&out), [b"a".to_vec(), b"d".to_vec()]);
        assert_eq!(failed, [(1, "it is bad".to_owned())]);
    }
}
