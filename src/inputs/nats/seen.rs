//! Which messages of a stream were taken, as ranges of their numbers.
//!
//! | bytes | what |
//! | --- | --- |
//! | 16 | when the stream was made, in nanoseconds |
//! | 8 | when the consumer was made, in seconds |
//! | 8 | the number of the message that comes next |
//! | 8 | where its bytes begin: it is taken when the position lies behind |
//! | 8 + 8 each | first and last number of each range |
//!
//! All little endian. So each entry of the journal says which messages are in it, wherever among them it
//! ends.

use std::collections::BTreeMap;

use crate::message::SourcePosition;

/// What a range takes, in bytes.
const RANGE: usize = 16;
/// So many ranges are kept at most; a message below them that comes again is taken twice.
const MAX_RANGES: usize = SourcePosition::MAX_DETAIL / RANGE - 3;

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
    /// Reads what a position says of this consumer; nothing where it was for another.
    pub(super) fn read(position: &SourcePosition, made: Made) -> Seen {
        let mut seen = Seen { made, ranges: BTreeMap::new() };
        let (numbers, _) = position.detail.as_chunks::<8>();
        let numbers: Vec<u64> = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let [low, high, consumer, next, start, ranges @ ..] = &*numbers else { return seen };
        let stream = i128::from(*high) << 64 | i128::from(*low);
        if stream == made.stream && consumer.cast_signed().abs_diff(made.consumer) <= 1 {
            let (ranges, _) = ranges.as_chunks::<2>();
            seen.ranges = ranges.iter().map(|[first, last]| (*first, *last)).collect();
            if position.offset > *start {
                seen.insert(*next);
            }
        }
        seen
    }

    /// What a position at `start` has to say while the message `next` is handed over.
    pub(super) fn written(&self, next: u64, start: u64) -> Vec<u8> {
        let mut bytes = self.made.stream.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.made.consumer.to_le_bytes());
        bytes.extend_from_slice(&next.to_le_bytes());
        bytes.extend_from_slice(&start.to_le_bytes());
        for (first, last) in &self.ranges {
            bytes.extend_from_slice(&first.to_le_bytes());
            bytes.extend_from_slice(&last.to_le_bytes());
        }
        bytes
    }

    /// Whether a number was added.
    pub(super) fn has(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    /// Adds a number.
    pub(super) fn insert(&mut self, number: u64) {
        let mut first = number;
        if let Some((before, last)) = self.ranges.range(..=number).next_back() {
            if *last >= number {
                return;
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
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const MADE: Made = Made { stream: 1 << 70, consumer: 7 };

    fn none() -> Seen {
        Seen::read(&SourcePosition::at(0), MADE)
    }

    /// As it is read where the journal has it at `offset`.
    fn kept(seen: &Seen, (next, start): (u64, u64), offset: u64, made: Made) -> Seen {
        let detail = Arc::from(seen.written(next, start));
        Seen::read(&SourcePosition { offset, detail }, made)
    }

    proptest! {
        #[test]
        fn it_is_the_set_of_what_was_added(numbers in vec(0_u64..60, 0..80), floor in 0_u64..60) {
            let mut seen = none();
            let mut model = BTreeSet::new();
            for number in numbers {
                prop_assert_eq!(seen.has(number), model.contains(&number));
                seen.insert(number);
                model.insert(number);
            }
            let again = kept(&seen, (70, 5), 5, Made { consumer: 8, ..MADE });
            prop_assert_eq!(&again.ranges, &seen.ranges);
            for other in [Made { stream: 2, ..MADE }, Made { consumer: 9, ..MADE }] {
                prop_assert!(kept(&seen, (70, 5), 6, other).ranges.is_empty());
            }
            seen.forget(floor);
            for number in 0..60 {
                let is_there = number > floor && model.contains(&number);
                prop_assert_eq!(seen.has(number), is_there, "{} of {:?}", number, seen);
            }
        }

        #[test]
        fn what_was_written_by_others_does_no_harm(bytes in vec(any::<u8>(), 0..200)) {
            let mut written = none().written(0, 0);
            written.extend(bytes);
            let position = SourcePosition { offset: 9, detail: Arc::from(written) };
            let mut seen = Seen::read(&position, MADE);
            seen.forget(7);
            seen.insert(9);
        }
    }

    #[test]
    fn the_message_that_was_on_its_way_is_taken_when_the_position_lies_behind() {
        let mut seen = none();
        seen.insert(3);
        assert!(!kept(&seen, (4, 100), 100, MADE).has(4), "its bytes are not in the journal");
        let taken = kept(&seen, (4, 100), 101, MADE);
        assert!(taken.has(3) && taken.has(4) && !taken.has(5));
    }

    #[test]
    fn it_has_room_in_a_position() {
        let mut seen = none();
        for number in 0..2000 {
            seen.insert(number * 2);
        }
        assert!(seen.written(1, 1).len() <= SourcePosition::MAX_DETAIL);
        assert!(seen.has(3998));
    }
}
