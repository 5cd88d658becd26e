//! Names for messages: random UUIDs, version 4 (RFC 9562).

use std::hash::BuildHasher;
use std::hash::Hasher;

use crate::stdx::random::Random;

/// Makes random UUIDs; one for each thread that makes messages.
///
/// They are seeded from the system's randomness. A UUID is a name, not a secret.
#[derive(Debug)]
pub struct Uuids {
    random: Random,
}

impl Default for Uuids {
    fn default() -> Uuids {
        let word = || std::hash::RandomState::new().build_hasher().finish() | 1;
        Uuids { random: Random { state: [(); 4].map(|()| word()) } }
    }
}

impl Uuids {
    /// A generator that always makes the same names, for what must be repeatable.
    #[must_use]
    pub fn seeded(seed: u64) -> Uuids {
        Uuids { random: Random::seeded(seed) }
    }

    /// A new UUID.
    pub fn make(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.random.next().to_ne_bytes());
        bytes[8..].copy_from_slice(&self.random.next().to_ne_bytes());
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        bytes
    }
}

/// The two digits of each byte.
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};
/// Where the digits of each byte stand in the text.
const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// The text form `8-4-4-4-12` of a UUID; `None` unless it has 16 bytes.
#[must_use]
pub fn text(uuid: &[u8]) -> Option<[u8; 36]> {
    let uuid: &[u8; 16] = uuid.try_into().ok()?;
    let mut out = [b'-'; 36];
    for (byte, place) in uuid.iter().zip(PLACES) {
        let [high, low] = HEX[usize::from(*byte)];
        out[place] = high;
        out[place + 1] = low;
    }
    Some(out)
}

/// Reads the text form of a UUID, with or without hyphens.
#[must_use]
pub fn parse(text: &[u8]) -> Option<[u8; 16]> {
    let mut out = [0; 16];
    let mut digits = 0;
    for &byte in text {
        if byte == b'-' && matches!(digits, 8 | 12 | 16 | 20) {
            continue;
        }
        let digit = u8::try_from(char::from(byte).to_digit(16)?).ok()?;
        *out.get_mut(digits / 2)? |= if digits % 2 == 0 { digit << 4 } else { digit };
        digits += 1;
    }
    (digits == 32).then_some(out)
}
