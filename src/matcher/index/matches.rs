//! What the rows of an index match in one batch.

use std::sync::Arc;

/// Where a row finds its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Every message.
    All,
    /// No message.
    None,
    /// The messages of this distinct matcher.
    Slot(u32),
}

/// What every row of an index matches in one batch.
///
/// The messages of all matchers lie in one row, those of one matcher together.
#[derive(Debug)]
pub struct Matches {
    places: Arc<[Place]>,
    /// Where the messages of each slot begin, and where the last ones end.
    starts: Box<[u32]>,
    hits: Box<[u16]>,
    all: Box<[u16]>,
}

impl Matches {
    /// Sorts hits, pairs of slot and message in the order of the messages, by slot; `counts` are
    /// the hits of each slot.
    pub(super) fn new(
        places: Arc<[Place]>,
        counts: &[u32],
        hits: &[(u32, u16)],
        all: Box<[u16]>,
    ) -> Matches {
        let mut starts = Vec::with_capacity(counts.len() + 1);
        let mut total = 0;
        for count in counts {
            starts.push(total);
            total += count;
        }
        starts.push(total);
        let mut next = starts.clone();
        let mut sorted = vec![0; hits.len()].into_boxed_slice();
        for (slot, message) in hits {
            let at = &mut next[*slot as usize];
            sorted[*at as usize] = *message;
            *at += 1;
        }
        Matches { places, starts: starts.into(), hits: sorted, all }
    }

    /// The indices of the messages that row `id` matches, ascending; none for a row there is not.
    #[must_use]
    pub fn of(&self, id: usize) -> &[u16] {
        match self.places.get(id) {
            Some(Place::Slot(slot)) => {
                let slot = *slot as usize;
                &self.hits[self.starts[slot] as usize..self.starts[slot + 1] as usize]
            }
            Some(Place::All) => &self.all,
            Some(Place::None) | None => &[],
        }
    }

    /// Tells whether row `id` matches nothing in the batch.
    #[must_use]
    pub fn is_empty_for(&self, id: usize) -> bool {
        self.of(id).is_empty()
    }
}
