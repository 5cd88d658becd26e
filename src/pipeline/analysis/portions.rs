//! A filter goes over many entries in one call, where nothing is to be done between them.

use smallvec::SmallVec;

use super::host::Host;
use super::host::Trouble;
use super::outbox::Outbox;
use super::pass::Read;
use super::work::Work;
use super::work::portion_of;
use crate::journal::Body;
use crate::pipeline::routing::Routing;
use crate::plugin::Portion;

/// At most so many messages are gathered for a call, unless those of one entry are more: the pass
/// looks between two calls whether the filter takes more than its share.
const MESSAGES_A_CALL: usize = 64;

/// The portions of a call, and the index of the entry each is of.
type Gathered<'a> = SmallVec<[(Portion<'a>, usize); 16]>;

impl Host {
    /// Runs the filter over the first of `reads`, and over those behind it as far as one call can.
    /// Tells how many entries and how many messages it went over.
    pub(super) fn entries(
        &mut self,
        reads: &[Read],
        routing: &Routing,
        outbox: &mut Outbox,
    ) -> (usize, usize, Result<(), Trouble>) {
        let (entries, gathered) = self.gather(reads);
        if entries == 0 {
            let Some(read) = reads.first() else { return (0, 0, Ok(())) };
            let matched = read.of(self.row);
            return (1, matched.len(), self.entry(&read.entry, matched, routing, outbox));
        }
        let (mut done, mut messages) = (entries, 0);
        let mut result = Ok(());
        if !gathered.is_empty() {
            let portions: SmallVec<[Portion<'_>; 16]> =
                gathered.iter().map(|(portion, _)| *portion).collect();
            let (begun, ended) = self.call(Work::Portions(&portions), Some(outbox), routing);
            messages = portions[..begun].iter().map(|portion| portion.matched.len()).sum();
            result = ended;
            if begun < portions.len() || result.is_err() {
                // What lies between this portion and the next is passed with the next.
                done = gathered.get(begun.wrapping_sub(1)).map_or(1, |(_, index)| index + 1);
            }
        }
        self.matched += messages as u64;
        self.passed(&reads[..done], &result);
        (done, messages, result)
    }

    /// The entry that failed is passed when failures were only counted.
    fn passed(&mut self, reads: &[Read], result: &Result<(), Trouble>) {
        let is_last_done = matches!(result, Ok(()) | Err(Trouble::TooManyFailures));
        let kept = reads.len() - usize::from(!is_last_done).min(reads.len());
        if let Some(last) = reads.last() {
            self.time = last.entry.time;
        }
        if let Some(last) = reads[..kept].last() {
            self.position = last.entry.position;
        }
    }

    /// Gathers what one call can go over, from the first of `reads` on; tells how many entries
    /// that is, those without messages for the filter included.
    fn gather<'a>(&self, reads: &'a [Read]) -> (usize, Gathered<'a>) {
        let mut gathered = Gathered::new();
        let mut messages = 0;
        let mut entries = 0;
        for read in reads {
            let number = read.entry.position.0;
            let is_plain = number > self.muted_until.entry
                && self.passed_over.iter().all(|mark| mark.entry < number);
            if !is_plain || messages >= MESSAGES_A_CALL {
                break;
            }
            match &read.entry.body {
                Body::Batch(batch) => {
                    let matched = read.of(self.row);
                    if !matched.is_empty() {
                        gathered.push((portion_of(&read.entry, batch, matched), entries));
                        messages += matched.len();
                    }
                }
                Body::Note(_) => {}
                Body::Tick => break,
            }
            entries += 1;
        }
        (entries, gathered)
    }
}
