//! Sets of bytes, as bits.

/// A set of bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ByteSet([u64; 4]);

impl std::fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(char::from)).finish()
    }
}

impl ByteSet {
    /// The set of no byte.
    pub const EMPTY: ByteSet = ByteSet([0; 4]);

    /// The set of all bytes.
    pub const FULL: ByteSet = ByteSet([u64::MAX; 4]);

    /// Makes the set of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> ByteSet {
        let mut set = ByteSet::EMPTY;
        for byte in bytes {
            set.insert(*byte);
        }
        set
    }

    /// Makes the set of the bytes for which `test` holds.
    pub fn which(test: impl Fn(u8) -> bool) -> ByteSet {
        let mut set = ByteSet::EMPTY;
        for byte in 0..=u8::MAX {
            if test(byte) {
                set.insert(byte);
            }
        }
        set
    }

    /// Adds the bytes from `low` to `high`; none when `low` is above.
    pub fn insert_range(&mut self, low: u8, high: u8) {
        for byte in low..=high {
            self.insert(byte);
        }
    }

    /// Adds a byte.
    pub fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Tells whether the byte is in the set.
    #[inline]
    #[must_use]
    pub fn contains(&self, byte: u8) -> bool {
        (self.0[usize::from(byte >> 6)] >> (byte & 63)) & 1 != 0
    }

    pub(super) fn union(self, other: ByteSet) -> ByteSet {
        self.zip(other, |a, b| a | b)
    }

    pub(super) fn minus(self, other: ByteSet) -> ByteSet {
        self.zip(other, |a, b| a & !b)
    }

    pub(super) fn complement(self) -> ByteSet {
        ByteSet::FULL.minus(self)
    }

    pub(super) fn is_disjoint(self, other: ByteSet) -> bool {
        self.zip(other, |a, b| a & b) == ByteSet::EMPTY
    }

    pub(super) fn len(self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |byte| self.contains(*byte))
    }

    /// The one byte of a set that has only one.
    pub(super) fn single(self) -> Option<u8> {
        if self.len() == 1 { self.iter().next() } else { None }
    }

    pub(super) fn words(self) -> [u64; 4] {
        self.0
    }

    pub(super) fn of_words(words: [u64; 4]) -> ByteSet {
        ByteSet(words)
    }

    fn zip(self, other: ByteSet, join: impl Fn(u64, u64) -> u64) -> ByteSet {
        ByteSet(std::array::from_fn(|index| join(self.0[index], other.0[index])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_its_ends_and_a_backward_one_nothing() {
        let mut set = ByteSet::EMPTY;
        set.insert_range(b'z', b'a');
        assert_eq!(set, ByteSet::EMPTY);
        set.insert_range(250, 255);
        assert_eq!(set.iter().collect::<Vec<_>>(), [250, 251, 252, 253, 254, 255]);
        assert_eq!(set.complement().len(), 250);
        assert_eq!(ByteSet::of(b"x").single(), Some(b'x'));
        assert_eq!(ByteSet::of(b"xy").single(), None);
    }
}
