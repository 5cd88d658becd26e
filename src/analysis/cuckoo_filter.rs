//! Cuckoo filters: sets that may say yes to what is not in them, and from which keys can be taken.
//!
//! A key is kept as a fingerprint of 16 bits in one of two buckets of four. Where both are full one
//! that is there moves to its other bucket, and so on for a number of rounds. In an expiring filter
//! each fingerprint has the interval of its last use beside it, modulo 256; what was not used for
//! 256 intervals is taken out, and where four fifths are full, what was not used for longest.
//!
//! Saved: 1, interval in minutes (0 where nothing expires), number of buckets, current interval,
//! count, then all fingerprints, then, where they expire, all stamps.

use super::hash;
use super::saved::Reader;
use super::saved::Unfit;

const VERSION: u8 = 1;
const BUCKET: usize = 4;
const ROUNDS: usize = 500;
/// How many intervals something is kept.
const KEPT: i64 = 256;
const NS_PER_MINUTE: i64 = 60_000_000_000;

/// What became of a key that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is in now.
    New,
    /// It was in, last used so many intervals ago.
    Known(i64),
    /// There is no room left.
    Full,
    /// Its time is before all that is kept.
    TooOld,
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct CuckooFilter {
    /// Zero is an empty place.
    prints: Vec<u16>,
    /// Of an expiring filter, the interval of each print modulo 256.
    stamps: Vec<u8>,
    /// Minutes of an interval; zero where nothing expires.
    minutes: u32,
    interval: i64,
    count: u64,
}

impl CuckooFilter {
    /// A filter for so many items at least. `minutes` is the length of an interval, 0 where nothing
    /// expires. `None` when there is no memory for it.
    #[must_use]
    pub fn new(items: u64, minutes: u32) -> Option<CuckooFilter> {
        let places = places_of(items)?;
        let mut prints = Vec::new();
        let mut stamps = Vec::new();
        prints.try_reserve_exact(places).ok()?;
        prints.resize(places, 0);
        if minutes > 0 {
            stamps.try_reserve_exact(places).ok()?;
            stamps.resize(places, 0);
        }
        Some(CuckooFilter { prints, stamps, minutes, interval: 0, count: 0 })
    }

    /// The bytes such a filter takes.
    #[must_use]
    pub fn footprint_of(items: u64, minutes: u32) -> Option<usize> {
        let each = if minutes > 0 { 3 } else { 2 };
        places_of(items)?.checked_mul(each)?.checked_add(size_of::<CuckooFilter>())
    }

    /// The bytes this filter takes.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.prints.len() * 2 + self.stamps.len() + size_of::<CuckooFilter>()
    }

    /// Minutes of an interval; zero where nothing expires.
    #[must_use]
    pub fn minutes(&self) -> u32 {
        self.minutes
    }

    /// The newest interval, counted from the epoch.
    #[must_use]
    pub fn interval(&self) -> i64 {
        self.interval
    }

    /// Adds a key used at `ns`, which counts in an expiring filter alone.
    pub fn add(&mut self, key: &[u8], ns: i64) -> Added {
        let mut interval = self.interval;
        if self.minutes > 0 {
            interval = ns.div_euclid(i64::from(self.minutes) * NS_PER_MINUTE);
            if interval > self.interval {
                self.advance(interval);
            } else if self.interval.saturating_sub(interval) >= KEPT {
                return Added::TooOld;
            }
        }
        let (print, first) = self.print_of(key);
        let stamp = stamp_of(interval);
        if let Some(at) = self.find(print, first) {
            if self.minutes == 0 {
                return Added::Known(0);
            }
            let last = self.interval_at(at);
            if interval > last {
                self.stamps[at] = stamp;
            }
            return Added::Known((interval - last).max(0));
        }
        if self.minutes > 0 && self.count >= self.prints.len() as u64 / 5 * 4 {
            self.forget_oldest();
        }
        while !self.place(print, stamp, first) {
            if self.minutes == 0 || self.count == 0 {
                return Added::Full;
            }
            self.forget_oldest();
        }
        self.count += 1;
        Added::New
    }

    /// How many intervals ago a key was used last; `None` when it is not there.
    #[must_use]
    pub fn last_used(&self, key: &[u8]) -> Option<i64> {
        let (print, first) = self.print_of(key);
        let at = self.find(print, first)?;
        Some(if self.minutes > 0 { self.interval - self.interval_at(at) } else { 0 })
    }

    /// Takes a key out; tells whether it was there.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        let (print, first) = self.print_of(key);
        let found = self.find(print, first);
        if let Some(at) = found {
            self.prints[at] = 0;
            self.count -= 1;
        }
        found.is_some()
    }

    /// How many keys are there.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes all keys out.
    pub fn clear(&mut self) {
        self.prints.fill(0);
        self.stamps.fill(0);
        self.count = 0;
        self.interval = 0;
    }

    /// Appends its state.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&u64::from(self.minutes).to_le_bytes());
        out.extend_from_slice(&(self.prints.len() as u64).to_le_bytes());
        out.extend_from_slice(&self.interval.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        for print in &self.prints {
            out.extend_from_slice(&print.to_le_bytes());
        }
        out.extend_from_slice(&self.stamps);
    }

    /// A filter from its state; `None` where that is damaged.
    #[must_use]
    pub fn load(state: &[u8]) -> Option<CuckooFilter> {
        let mut reader = Reader::new(state, VERSION)?;
        let minutes = u32::try_from(reader.word()?).ok()?;
        let places = reader.size()?;
        let (interval, _) = (reader.signed()?, reader.word()?);
        let prints = reader.bytes(places.checked_mul(2)?)?;
        let prints: Vec<u16> =
            prints.as_chunks::<2>().0.iter().map(|print| u16::from_le_bytes(*print)).collect();
        let stamps = reader.bytes(if minutes > 0 { places } else { 0 })?.to_vec();
        let is_sound = places >= BUCKET && places.is_power_of_two() && reader.is_at_end();
        let count = prints.iter().filter(|print| **print != 0).count() as u64;
        is_sound.then_some(CuckooFilter { prints, stamps, minutes, interval, count })
    }

    /// Takes over a state.
    ///
    /// # Errors
    /// When it is damaged or of a filter of another size.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Unfit> {
        let saved = CuckooFilter::load(state).ok_or(Unfit::Damaged)?;
        if (saved.prints.len(), saved.minutes) != (self.prints.len(), self.minutes) {
            return Err(Unfit::Mismatch);
        }
        *self = saved;
        Ok(())
    }

    /// The fingerprint of a key, never zero, and its first bucket.
    #[allow(clippy::cast_possible_truncation, reason = "the low bits are meant")]
    fn print_of(&self, key: &[u8]) -> (u16, usize) {
        let hash = hash(0, key);
        let print = ((hash >> 48) as u16).max(1);
        (print, hash as usize & self.mask())
    }

    fn mask(&self) -> usize {
        self.prints.len() / BUCKET - 1
    }

    /// The other bucket of a print.
    #[allow(clippy::cast_possible_truncation, reason = "the low bits are meant")]
    fn other(&self, print: u16, bucket: usize) -> usize {
        (bucket ^ hash(1, &print.to_le_bytes()) as usize) & self.mask()
    }

    fn find(&self, print: u16, first: usize) -> Option<usize> {
        [first, self.other(print, first)].into_iter().find_map(|bucket| {
            let start = bucket * BUCKET;
            let found = self.prints[start..start + BUCKET].iter().position(|held| *held == print);
            found.map(|at| start + at)
        })
    }

    fn place(&mut self, print: u16, stamp: u8, first: usize) -> bool {
        let (mut print, mut stamp) = (print, stamp);
        let mut bucket = first;
        let mut moved = Vec::new();
        for round in 0..ROUNDS {
            for candidate in [bucket, self.other(print, bucket)] {
                let start = candidate * BUCKET;
                let free = self.prints[start..start + BUCKET].iter().position(|held| *held == 0);
                if let Some(at) = free {
                    self.put(start + at, print, stamp);
                    return true;
                }
            }
            bucket = self.other(print, bucket);
            let at = bucket * BUCKET + (usize::from(print) + round) % BUCKET;
            let held = (self.prints[at], self.stamps.get(at).copied().unwrap_or(0));
            moved.push((at, held));
            self.put(at, print, stamp);
            (print, stamp) = held;
        }
        // Everything goes back to where it was, so that nothing known is lost.
        for (at, (print, stamp)) in moved.into_iter().rev() {
            self.put(at, print, stamp);
        }
        false
    }

    fn put(&mut self, at: usize, print: u16, stamp: u8) {
        self.prints[at] = print;
        if let Some(place) = self.stamps.get_mut(at) {
            *place = stamp;
        }
    }

    /// The interval a print was last used in, which is at most 255 before the newest.
    fn interval_at(&self, at: usize) -> i64 {
        let age = stamp_of(self.interval).wrapping_sub(self.stamps[at]);
        self.interval - i64::from(age)
    }

    /// Takes out what was used last in the oldest interval that there is.
    fn forget_oldest(&mut self) {
        let held = |at: &usize| self.prints[*at] != 0;
        let oldest = (0..self.prints.len()).filter(held).map(|at| self.interval_at(at)).min();
        for at in 0..self.prints.len() {
            if self.prints[at] != 0 && Some(self.interval_at(at)) == oldest {
                self.prints[at] = 0;
                self.count -= 1;
            }
        }
    }

    /// Moves on to a later interval and takes out what has expired.
    fn advance(&mut self, interval: i64) {
        for at in 0..self.prints.len() {
            let is_old = interval.saturating_sub(self.interval_at(at)) >= KEPT;
            if self.prints[at] != 0 && is_old {
                self.prints[at] = 0;
                self.count -= 1;
            }
        }
        self.interval = interval;
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "modulo 256 is meant")]
fn stamp_of(interval: i64) -> u8 {
    interval as u8
}

/// The places a filter for so many items has: buckets are a power of two and at most 95 % full.
fn places_of(items: u64) -> Option<usize> {
    let places = usize::try_from(items).ok()?.checked_add(usize::try_from(items / 19).ok()?)?;
    let places = places.checked_next_power_of_two()?.max(BUCKET);
    (places <= 1 << 34).then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_in_and_out() {
        let mut filter = CuckooFilter::new(10_000, 0).unwrap();
        for key in 0..10_000_u32 {
            assert_ne!(filter.add(&key.to_le_bytes(), 0), Added::Full);
        }
        assert!((0..10_000_u32).all(|key| filter.last_used(&key.to_le_bytes()).is_some()));
        let wrong =
            (10_000..30_000_u32).filter(|key| filter.last_used(&key.to_le_bytes()).is_some());
        assert!(wrong.count() < 20);
        assert_eq!(filter.add(&7_u32.to_le_bytes(), 0), Added::Known(0));
        let count = filter.count();
        assert!(filter.delete(&7_u32.to_le_bytes()) && !filter.delete(&7_u32.to_le_bytes()));
        assert_eq!(filter.count(), count - 1);
        let mut state = Vec::new();
        filter.save(&mut state);
        assert_eq!(CuckooFilter::load(&state).unwrap(), filter);
        assert_eq!(CuckooFilter::new(9, 0).unwrap().restore(&state), Err(Unfit::Mismatch));
        assert_eq!(filter.restore(&state[..100]), Err(Unfit::Damaged));
        filter.clear();
        assert_eq!((filter.count(), filter.last_used(&9_u32.to_le_bytes())), (0, None));
    }

    #[test]
    fn a_full_filter_loses_nothing() {
        let mut filter = CuckooFilter::new(60, 0).unwrap();
        let mut kept = Vec::new();
        for key in 0..1000_u32 {
            if filter.add(&key.to_le_bytes(), 0) == Added::New {
                kept.push(key);
            }
        }
        assert!(kept.len() > 55, "{}", kept.len());
        assert!(kept.iter().all(|key| filter.last_used(&key.to_le_bytes()).is_some()));
        assert_eq!(filter.count(), kept.len() as u64);
    }

    #[test]
    fn an_expiring_filter_forgets_the_oldest_when_it_is_full() {
        let mut filter = CuckooFilter::new(100, 1).unwrap();
        for key in 0..1000_u32 {
            let ns = i64::from(key / 10) * NS_PER_MINUTE;
            assert_ne!(filter.add(&key.to_le_bytes(), ns), Added::Full);
        }
        assert!((950..1000_u32).all(|key| filter.last_used(&key.to_le_bytes()).is_some()));
        assert!(filter.count() <= 103, "{}", filter.count());
        let kept = (0..800_u32).filter(|key| filter.last_used(&key.to_le_bytes()).is_some());
        assert!(kept.count() < 3);
    }

    #[test]
    fn what_is_not_used_expires() {
        let minute = |count: i64| count * NS_PER_MINUTE;
        let mut filter = CuckooFilter::new(100, 1).unwrap();
        assert_eq!(filter.add(b"a", minute(1000)), Added::New);
        assert_eq!(filter.add(b"b", minute(1010)), Added::New);
        assert_eq!(filter.add(b"a", minute(1012)), Added::Known(12));
        assert_eq!(filter.last_used(b"b"), Some(2));
        assert_eq!(filter.add(b"old", minute(1)), Added::TooOld);
        assert_eq!(filter.add(b"c", minute(1266)), Added::New);
        assert_eq!((filter.last_used(b"b"), filter.last_used(b"a")), (None, Some(254)));
        assert_eq!(filter.add(b"d", minute(9_000_000)), Added::New);
        assert_eq!((filter.count(), filter.interval()), (1, 9_000_000));
        assert_eq!(filter.add(b"e", i64::MIN), Added::TooOld);
        assert_eq!(filter.add(b"e", i64::MAX), Added::New);
    }
}
