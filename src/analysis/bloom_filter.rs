//! A Bloom filter: a set that may say yes to what is not in it, and never no to what is.
//!
//! Size and number of hashes follow from the number of items and the probability of a wrong yes
//! when so many are in it. All places of a key are derived from two hashes.
//!
//! Saved: 1, items, the bits of the probability, count, then the words of bits.

use std::f64::consts::LN_2;

use super::hash;
use super::saved::Reader;
use super::saved::Unfit;

const VERSION: u8 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct BloomFilter {
    words: Vec<u64>,
    hashes: u32,
    items: u64,
    probability: f64,
    count: u64,
}

impl BloomFilter {
    /// A filter for so many items with this probability of a wrong yes, between 0 and 1; `None`
    /// when there is no memory for it.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the numbers are small and positive, and such casts saturate"
    )]
    pub fn new(items: u64, probability: f64) -> Option<BloomFilter> {
        let length = words_of(items, probability)?;
        let mut words = Vec::new();
        words.try_reserve_exact(length).ok()?;
        words.resize(length, 0);
        let hashes = (-probability.log2()).round().clamp(1.0, 64.0) as u32;
        Some(BloomFilter { words, hashes, items, probability, count: 0 })
    }

    /// The bytes such a filter takes.
    #[must_use]
    pub fn footprint_of(items: u64, probability: f64) -> Option<usize> {
        words_of(items, probability)?.checked_mul(8)?.checked_add(size_of::<BloomFilter>())
    }

    /// The bytes this filter takes.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.words.len() * 8 + size_of::<BloomFilter>()
    }

    /// Adds a key; tells whether it was not there, as far as the filter knows.
    pub fn add(&mut self, key: &[u8]) -> bool {
        let mut is_new = false;
        for (word, bit) in self.places(key) {
            is_new |= self.words[word] & bit == 0;
            self.words[word] |= bit;
        }
        self.count += u64::from(is_new);
        is_new
    }

    /// Tells whether a key is there, perhaps wrongly.
    #[must_use]
    pub fn has(&self, key: &[u8]) -> bool {
        self.places(key).all(|(word, bit)| self.words[word] & bit != 0)
    }

    /// How many keys were new when they were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes all keys out.
    pub fn clear(&mut self) {
        self.words.fill(0);
        self.count = 0;
    }

    /// Appends its state.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        for word in [self.items, self.probability.to_bits(), self.count] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for word in &self.words {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// A filter from its state; `None` where that is damaged.
    #[must_use]
    pub fn load(state: &[u8]) -> Option<BloomFilter> {
        let mut reader = Reader::new(state, VERSION)?;
        let (items, probability) = (reader.word()?, reader.number()?);
        let count = reader.word()?;
        let is_sound = items > 0 && probability > 0.0 && probability < 1.0;
        let length = is_sound.then(|| words_of(items, probability))??;
        let bits = reader.bytes(length.checked_mul(8)?)?;
        let mut filter = BloomFilter::new(items, probability)?;
        filter.count = count;
        for (word, bytes) in filter.words.iter_mut().zip(bits.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        reader.is_at_end().then_some(filter)
    }

    /// Takes over a state.
    ///
    /// # Errors
    /// When it is damaged or of a filter of another size.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Unfit> {
        let saved = BloomFilter::load(state).ok_or(Unfit::Damaged)?;
        if (saved.items, saved.probability) != (self.items, self.probability) {
            return Err(Unfit::Mismatch);
        }
        *self = saved;
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation, reason = "the word is one of a vector")]
    fn places(&self, key: &[u8]) -> impl Iterator<Item = (usize, u64)> + use<> {
        let (first, step) = (hash(0, key), hash(1, key) | 1);
        let bits = self.words.len() as u64 * 64;
        (0..u64::from(self.hashes)).map(move |index| {
            let bit = first.wrapping_add(index.wrapping_mul(step)) % bits;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }
}

/// How many words of 64 bits such a filter has.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the number is positive, and what is too large is refused"
)]
fn words_of(items: u64, probability: f64) -> Option<usize> {
    let bits = -(items as f64) * probability.ln() / (LN_2 * LN_2);
    (bits.is_finite() && bits < 1e15).then(|| ((bits / 64.0).ceil() as usize).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_nothing_and_errs_as_rarely_as_asked() {
        let mut filter = BloomFilter::new(10_000, 0.01).unwrap();
        for key in 0..10_000_u32 {
            filter.add(&key.to_le_bytes());
        }
        assert!((0..10_000_u32).all(|key| filter.has(&key.to_le_bytes())));
        assert!(!filter.add(&7_u32.to_le_bytes()));
        let wrong = (10_000..30_000_u32).filter(|key| filter.has(&key.to_le_bytes())).count();
        assert!(wrong < 300, "{wrong} of 20000");
        assert!((9_800..=10_000).contains(&filter.count()), "{}", filter.count());
        assert!(filter.footprint() < 13_000);
        let mut state = Vec::new();
        filter.save(&mut state);
        assert_eq!(BloomFilter::load(&state).unwrap(), filter);
        assert_eq!(BloomFilter::new(9, 0.01).unwrap().restore(&state), Err(Unfit::Mismatch));
        assert_eq!(filter.restore(&state[1..]), Err(Unfit::Damaged));
        filter.clear();
        assert!(filter.count() == 0 && !filter.has(&7_u32.to_le_bytes()));
        assert!(BloomFilter::new(u64::MAX, 1e-300).is_none());
    }
}
