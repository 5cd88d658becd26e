//! Finds the bounds that a number lies within.
//!
//! Bounds on one side are sorted, so that those met are a run at one end. Bounds on both sides cut
//! the line into segments, each with the entries it lies within: before the first cut, the first
//! cut itself, between the first and the second, and so on.

use std::cmp::Ordering;

use super::super::number::Number;
use super::entry::Entry;
use super::keys::Bounds;

/// The segments hold at most so many entries together; what goes beyond is compared one by one.
const MAX_SEGMENT_ENTRIES: usize = 1 << 17;

/// The bounds on one variable.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// Lower bounds alone, ascending: a number meets those in front.
    lower: Side,
    /// Upper bounds alone, descending: a number meets those in front.
    upper: Side,
    cuts: Box<[Number]>,
    segments: Box<[Vec<Entry>]>,
    /// Bounds for which the segments had no room.
    others: Vec<(Bounds, Entry)>,
}

#[derive(Debug, Default)]
struct Side {
    bounds: Vec<(Number, bool)>,
    entries: Vec<Entry>,
}

impl Side {
    fn new(mut rows: Vec<((Number, bool), Entry)>, direction: Ordering) -> Side {
        rows.sort_by(|((a, a_within), _), ((b, b_within), _)| {
            let order = compare(*a, *b);
            let order = if direction == Ordering::Less { order } else { order.reverse() };
            order.then(b_within.cmp(a_within))
        });
        let (bounds, entries) = rows.into_iter().unzip();
        Side { bounds, entries }
    }

    /// The entries whose bound has `value` on its `wanted` side.
    fn met(&self, value: Number, wanted: Ordering) -> &[Entry] {
        let count = self.bounds.partition_point(|bound| is_met(value, *bound, wanted));
        &self.entries[..count]
    }
}

/// Tells whether `value` lies on the `wanted` side of a bound, or on the bound where it counts.
fn is_met(value: Number, (bound, is_within): (Number, bool), wanted: Ordering) -> bool {
    match value.compare(bound) {
        Some(Ordering::Equal) => is_within,
        ordering => ordering == Some(wanted),
    }
}

/// Compares numbers of which none is NaN: literals are finite.
fn compare(a: Number, b: Number) -> Ordering {
    a.compare(b).unwrap_or(Ordering::Equal)
}

impl Ranges {
    pub(super) fn new(rows: Vec<(Bounds, Entry)>) -> Ranges {
        let (mut lower, mut upper, mut both) = (Vec::new(), Vec::new(), Vec::new());
        for (bounds, entry) in rows {
            match (bounds.lower, bounds.upper) {
                (Some(bound), None) => lower.push((bound, entry)),
                (None, Some(bound)) => upper.push((bound, entry)),
                _ => both.push((bounds, entry)),
            }
        }
        let mut ranges = Ranges {
            lower: Side::new(lower, Ordering::Less),
            upper: Side::new(upper, Ordering::Greater),
            ..Ranges::default()
        };
        ranges.cut(both);
        ranges
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lower.entries.is_empty()
            && self.upper.entries.is_empty()
            && self.cuts.is_empty()
            && self.others.is_empty()
    }

    fn cut(&mut self, rows: Vec<(Bounds, Entry)>) {
        let bounds = rows.iter().flat_map(|(bounds, _)| [bounds.lower, bounds.upper]);
        let mut cuts: Vec<Number> = bounds.flatten().map(|(number, _)| number).collect();
        cuts.sort_by(|a, b| compare(*a, *b));
        cuts.dedup_by(|a, b| compare(*a, *b) == Ordering::Equal);
        if cuts.is_empty() {
            return;
        }
        let mut segments = vec![Vec::new(); cuts.len() * 2 + 1];
        let mut room = MAX_SEGMENT_ENTRIES;
        for (bounds, entry) in rows {
            let at = |number| cuts.partition_point(|cut| compare(*cut, number).is_lt()) * 2 + 1;
            let from = bounds.lower.map_or(0, |(number, within)| at(number) + usize::from(!within));
            let to = bounds
                .upper
                .map_or(segments.len(), |(number, within)| at(number) + usize::from(within));
            let width = to.saturating_sub(from);
            if width > room {
                self.others.push((bounds, entry));
                continue;
            }
            room -= width;
            segments[from..from + width].iter_mut().for_each(|segment| segment.push(entry));
        }
        self.cuts = cuts.into();
        self.segments = segments.into();
    }

    /// Hands all entries to `found` whose bounds `value` lies within.
    pub(super) fn visit(&self, value: Number, found: &mut impl FnMut(&[Entry])) {
        if matches!(value, Number::Double(double) if double.is_nan()) {
            return;
        }
        found(self.lower.met(value, Ordering::Greater));
        found(self.upper.met(value, Ordering::Less));
        if !self.cuts.is_empty() {
            let before = self.cuts.partition_point(|cut| compare(*cut, value).is_lt());
            let is_cut = self.cuts.get(before).is_some_and(|cut| compare(*cut, value).is_eq());
            found(&self.segments[before * 2 + usize::from(is_cut)]);
        }
        for (bounds, entry) in &self.others {
            let is_above = bounds.lower.is_none_or(|bound| is_met(value, bound, Ordering::Greater));
            let is_below = bounds.upper.is_none_or(|bound| is_met(value, bound, Ordering::Less));
            if is_above && is_below {
                found(std::slice::from_ref(entry));
            }
        }
    }
}
