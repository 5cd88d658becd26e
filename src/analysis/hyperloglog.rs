//! HyperLogLog: how many different keys there were, within about 0.81 %, in 12 KiB.
//!
//! 16 384 registers of 6 bits each keep the longest run of zeros among the hashes that fell to
//! them. The estimate is Ertl's, which needs no correction for small or large counts.
//!
//! Saved: 1, then the registers as they lie.

use super::hash;
use super::saved::Reader;
use super::saved::Unfit;

const VERSION: u8 = 1;
/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 14;
const REGISTERS: usize = 1 << INDEX_BITS;
const BYTES: usize = REGISTERS * 6 / 8;
/// Bits of a hash in which zeros are counted.
const RUN_BITS: u32 = 64 - INDEX_BITS;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct HyperLogLog {
    /// Four registers in each three bytes, the first in the lowest bits.
    packed: Box<[u8; BYTES]>,
}

impl Default for HyperLogLog {
    fn default() -> HyperLogLog {
        HyperLogLog { packed: Box::new([0; BYTES]) }
    }
}

impl HyperLogLog {
    /// The bytes one takes.
    pub const FOOTPRINT: usize = BYTES + 16;

    /// Adds a key; tells whether a register changed, and the estimate with it.
    #[allow(clippy::cast_possible_truncation, reason = "14 bits are meant")]
    pub fn add(&mut self, key: &[u8]) -> bool {
        let hash = hash(0, key);
        let index = hash as usize & (REGISTERS - 1);
        let run = (hash >> INDEX_BITS).trailing_zeros().min(RUN_BITS) as u8 + 1;
        let is_larger = run > self.register(index);
        if is_larger {
            self.write(index, run);
        }
        is_larger
    }

    /// Takes in what another has counted.
    pub fn merge(&mut self, other: &HyperLogLog) {
        for index in 0..REGISTERS {
            let run = other.register(index);
            if run > self.register(index) {
                self.write(index, run);
            }
        }
    }

    /// How many different keys there were, about.
    #[must_use]
    pub fn count(&self) -> f64 {
        let mut tally = [0_u32; RUN_BITS as usize + 2];
        for index in 0..REGISTERS {
            tally[usize::from(self.register(index)).min(RUN_BITS as usize + 1)] += 1;
        }
        let registers = REGISTERS as f64;
        let full = f64::from(tally[RUN_BITS as usize + 1]);
        let mut sum = registers * tau(1.0 - full / registers);
        for count in tally[1..=RUN_BITS as usize].iter().rev() {
            sum = 0.5 * (sum + f64::from(*count));
        }
        sum += registers * sigma(f64::from(tally[0]) / registers);
        (registers * registers / (2.0 * std::f64::consts::LN_2 * sum)).round()
    }

    /// Takes all keys out.
    pub fn clear(&mut self) {
        self.packed.fill(0);
    }

    /// Appends its state.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.packed[..]);
    }

    /// One from its state; `None` where that is damaged.
    #[must_use]
    pub fn load(state: &[u8]) -> Option<HyperLogLog> {
        let mut reader = Reader::new(state, VERSION)?;
        let packed: [u8; BYTES] = reader.bytes(BYTES)?.try_into().ok()?;
        reader.is_at_end().then(|| HyperLogLog { packed: Box::new(packed) })
    }

    /// Takes over a state.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Unfit> {
        *self = HyperLogLog::load(state).ok_or(Unfit::Damaged)?;
        Ok(())
    }

    fn register(&self, index: usize) -> u8 {
        let (group, shift) = (index / 4 * 3, index % 4 * 6);
        let low = self.packed[group + shift / 8] >> (shift % 8);
        let high = match shift % 8 {
            0 | 2 => 0,
            rest => self.packed[group + shift / 8 + 1] << (8 - rest),
        };
        (low | high) & 0x3f
    }

    fn write(&mut self, index: usize, run: u8) {
        let (group, shift) = (index / 4 * 3, index % 4 * 6);
        let at = group + shift / 8;
        let rest = shift % 8;
        self.packed[at] = self.packed[at] & !(0x3f << rest) | run << rest;
        if rest > 2 {
            let next = &mut self.packed[at + 1];
            *next = *next & !(0x3f >> (8 - rest)) | run >> (8 - rest);
        }
    }
}

/// The share of keys beyond what registers can count.
fn tau(share: f64) -> f64 {
    if share == 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut x, mut y, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        x = x.sqrt();
        let before = sum;
        y *= 0.5;
        sum -= (1.0 - x).powi(2) * y;
        if before <= sum {
            return sum / 3.0;
        }
    }
}

/// The share of keys that empty registers stand for.
fn sigma(share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut x, mut y, mut sum) = (share, 1.0, share);
    loop {
        x *= x;
        let before = sum;
        sum += x * y;
        y += y;
        if before >= sum {
            return sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_do_not_touch_each_other() {
        let mut counter = HyperLogLog::default();
        for index in 0..REGISTERS {
            counter.write(index, u8::try_from(index % 51).unwrap());
        }
        for index in 0..REGISTERS {
            assert_eq!(usize::from(counter.register(index)), index % 51);
        }
    }

    #[test]
    fn counts_are_within_two_percent() {
        let mut counter = HyperLogLog::default();
        let mut other = HyperLogLog::default();
        let mut done = 0_u32;
        for count in [0_u32, 1, 100, 5_000, 50_000, 200_000] {
            for key in done..count {
                counter.add(&key.to_le_bytes());
                other.add(&(key + 1_000_000).to_le_bytes());
            }
            done = count;
            let found = counter.count();
            assert!(
                (found - f64::from(count)).abs() <= f64::from(count) * 0.02,
                "{count}: {found}"
            );
        }
        assert!(!counter.add(&7_u32.to_le_bytes()));
        let mut state = Vec::new();
        counter.save(&mut state);
        assert_eq!(HyperLogLog::load(&state).unwrap(), counter);
        assert_eq!(counter.restore(&state[..9]), Err(Unfit::Damaged));
        counter.merge(&other);
        let both = counter.count();
        assert!((both - 400_000.0).abs() < 8_000.0, "{both}");
        counter.clear();
        assert!(counter.count() == 0.0);
    }
}
