//! Which messages of a stream were taken, as ranges of their numbers.
//!
//! | bytes | what |
//! | --- | --- |
//! | 16 | when the stream was made, in nanoseconds |
//! | 8 | when the consumer was made, in seconds |
//! | 8 + 8 each | first and last number of each range |
//!
//! All little endian.

use std::collections::BTreeMap;

use crate::message::SourcePosition;

/// What a range takes, in bytes.
const RANGE: usize = 16;
/// So many ranges are kept at most; a message below them that comes again is taken twice.
const MAX_RANGES: usize = SourcePosition::MAX_DETAIL / RANGE - 2;

/// When stream and consumer were made: others of the same name are other ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// In nanoseconds. The stream counts from 1 again when it is made anew.
    pub(super) stream: i128,
    /// In seconds. A server that was killed remembers it a little differently.
    pub(super) consumer: i64,
}

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    made: Made,
    /// First and last of each range.
    ranges: BTreeMap<u64, u64>,
}

impl Seen {
    /// Reads what was written for this consumer; nothing where it was for another.
    pub(super) fn read(written: &[u8], made: Made) -> Seen {
        let mut ranges = BTreeMap::new();
        if let Some((stream, rest)) = written.split_first_chunk()
            && let Some((consumer, rest)) = rest.split_first_chunk()
            && i128::from_le_bytes(*stream) == made.stream
            && i64::from_le_bytes(*consumer).abs_diff(made.consumer) <= 1
        {
            for range in rest.chunks_exact(RANGE) {
                let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
                ranges.insert(number(&range[..8]), number(&range[8..]));
            }
        }
        Seen { made, ranges }
    }

    /// See the module.
    pub(super) fn written(&self) -> Vec<u8> {
        let mut bytes = self.made.stream.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.made.consumer.to_le_bytes());
        for (first, last) in &self.ranges {
            bytes.extend_from_slice(&first.to_le_bytes());
            bytes.extend_from_slice(&last.to_le_bytes());
        }
        bytes
    }

    /// Adds a number; tells whether it is new.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        let mut first = number;
        if let Some((before, last)) = self.ranges.range(..=number).next_back() {
            if *last >= number {
                return false;
            }
            if last + 1 == number {
                first = *before;
            }
        }
        let behind = number.checked_add(1).and_then(|next| self.ranges.remove(&next));
        self.ranges.insert(first, behind.unwrap_or(number));
        if self.ranges.len() > MAX_RANGES {
            self.ranges.pop_first();
        }
        true
    }

    /// Forgets all up to `floor`, which does not come again.
    pub(super) fn forget(&mut self, floor: u64) {
        let above = self.ranges.split_off(&floor.saturating_add(1));
        let cut = self.ranges.pop_last().filter(|(_, last)| *last > floor);
        self.ranges = above;
        if let Some((_, last)) = cut {
            self.ranges.insert(floor + 1, last);
        }
    }

    /// The largest number.
    pub(super) fn last(&self) -> u64 {
        self.ranges.last_key_value().map_or(0, |(_, last)| *last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const MADE: Made = Made { stream: 1, consumer: 7 };

    proptest! {
        #[test]
        fn it_is_the_set_of_what_was_added(numbers in vec(0_u64..60, 0..80), floor in 0_u64..60) {
            let mut seen = Seen::read(&[], MADE);
            let mut model = BTreeSet::new();
            for number in numbers {
                prop_assert_eq!(seen.insert(number), model.insert(number));
                prop_assert_eq!(seen.last(), *model.last().unwrap());
            }
            let again = Seen::read(&seen.written(), Made { consumer: 8, ..MADE });
            prop_assert_eq!(&again.ranges, &seen.ranges);
            for other in [Made { stream: 2, ..MADE }, Made { consumer: 9, ..MADE }] {
                prop_assert_eq!(Seen::read(&seen.written(), other).last(), 0);
            }
            seen.forget(floor);
            for number in 0..60 {
                let is_new = number <= floor || !model.contains(&number);
                prop_assert_eq!(seen.insert(number), is_new, "{} of {:?}", number, seen);
            }
        }

        #[test]
        fn what_was_written_by_others_does_no_harm(bytes in vec(any::<u8>(), 0..200)) {
            let mut written = Seen::read(&[], MADE).written();
            written.extend(bytes);
            let mut seen = Seen::read(&written, MADE);
            seen.forget(7);
            seen.insert(9);
        }
    }

    #[test]
    fn it_has_room_in_a_position() {
        let mut seen = Seen::read(&[], MADE);
        for number in 0..2000 {
            seen.insert(number * 2);
        }
        assert!(seen.written().len() <= SourcePosition::MAX_DETAIL);
        assert_eq!(seen.last(), 3998);
    }
}
