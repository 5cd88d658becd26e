//! Framing: a stream is cut into the same frames however it arrives, nothing stands still, and what
//! is framed comes back.

#![no_main]

use heka::message::Batch;
use heka::message::frame;
use heka::message::frame::FrameHeader;
use heka::message::frame::Step;
use libfuzzer_sys::arbitrary;
use libfuzzer_sys::arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

/// More than this is too large.
const MOST: usize = 4096;

#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Raw(&'a [u8]),
    Plain(&'a [u8]),
    Signed(&'a [u8], &'a [u8], &'a [u8]),
    /// The start of a frame, whose end is missing.
    Torn(&'a [u8], u8),
}

fuzz_target!(|input: (Vec<Piece<'_>>, u16)| {
    let (pieces, cut) = input;
    let mut stream = Vec::new();
    for piece in &pieces {
        put(&mut stream, piece);
    }
    let whole = frames(&stream, stream.len());
    let torn = frames(&stream, usize::from(cut) % (stream.len() + 1));
    assert_eq!(whole, torn, "cut at {cut}");
    let _ = Batch::from_frames(stream);
    for piece in &pieces {
        if let Piece::Plain(message) = piece {
            let mut framed = Vec::new();
            frame::put(&mut framed, message);
            assert_eq!(framed.len() - message.len(), frame::plain_header_len(message.len()));
            let Step::Frame { message: found, length, .. } = frame::step(&framed, usize::MAX)
            else {
                panic!("it is no frame")
            };
            assert_eq!((found, length), (*message, framed.len()));
        }
    }
});

fn put(stream: &mut Vec<u8>, piece: &Piece<'_>) {
    match piece {
        Piece::Raw(bytes) => stream.extend_from_slice(bytes),
        Piece::Plain(message) => frame::put(stream, message),
        Piece::Signed(message, signer, hmac) => {
            let (signer, hmac) = (&signer[..signer.len().min(60)], &hmac[..hmac.len().min(60)]);
            let header = FrameHeader { signer, hmac, hash: 1, ..FrameHeader::default() };
            frame::put_signed(stream, &header, message);
        }
        Piece::Torn(message, at) => {
            let start = stream.len();
            frame::put(stream, message);
            stream.truncate(start + usize::from(*at) % (stream.len() - start));
        }
    }
}

/// All messages of a stream of which `first` bytes come before the rest.
fn frames(stream: &[u8], first: usize) -> Vec<Vec<u8>> {
    let (mut found, mut at, mut end) = (Vec::new(), 0, first);
    loop {
        if at == end {
            if end == stream.len() {
                return found;
            }
            end = stream.len();
            continue;
        }
        match frame::step(&stream[at..end], MOST) {
            Step::Frame { message, length, .. } => {
                assert!(length > message.len() && at + length <= end);
                found.push(message.to_vec());
                at += length;
            }
            Step::Incomplete { needed } => {
                assert!(needed > end - at, "it was there");
                if end == stream.len() {
                    return found;
                }
                end = stream.len();
            }
            Step::Garbage { skip } | Step::TooLarge { skip, .. } => {
                assert!(skip > 0 && skip <= end - at, "{skip} of {}", end - at);
                at += skip;
            }
        }
    }
}
