//! The last bytes that were read, by which a file is known again.

use sha1::Digest;
use sha1::Sha1;

/// How many bytes make a file known; Heka's number.
pub(super) const TAIL: usize = 500;

/// The last bytes before a place, at most 500.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    /// The tail of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Tail {
        Tail(bytes[bytes.len().saturating_sub(TAIL)..].to_vec())
    }

    /// Moves on over `bytes`.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if bytes.len() >= TAIL {
            self.0.clear();
        } else {
            let kept = TAIL - bytes.len();
            self.0.drain(..self.0.len().saturating_sub(kept));
        }
        self.0.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Their SHA-1, in hex.
    pub(super) fn hash(&self) -> String {
        hex(&[&self.0])
    }

    /// The SHA-1 that Heka had of them: it took 500 bytes whether there were that many or not, so
    /// a short tail stands before or behind zeros.
    pub(super) fn heka_hashes(&self) -> [String; 2] {
        let zeros = vec![0; TAIL - self.0.len()];
        [hex(&[&self.0, &zeros]), hex(&[&zeros, &self.0])]
    }
}

fn hex(parts: &[&[u8]]) -> String {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    let mut text = String::with_capacity(40);
    for byte in hash.finalize() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).expect("a digit is below 16"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tail_is_the_end_of_all_that_was_pushed(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 0..6)
        ) {
            let mut tail = Tail::default();
            for piece in &pieces {
                tail.push(piece);
            }
            prop_assert_eq!(tail, Tail::of(&pieces.concat()));
        }
    }

    #[test]
    fn hash_is_sha1() {
        assert_eq!(Tail::of(b"abc").hash(), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}
