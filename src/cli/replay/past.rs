//! What a version needs to go back where a limit has ended a call: a state, and the calls made since.
//!
//! What a script has done when a limit ends it is not reproducible. So it is treated as the engine
//! treats it: the filter goes back to its last state, goes over what came since once more, with a wider
//! limit and muted, and passes over the message.

use std::time::Duration;

use super::lane::Moment;
use super::lane::Work;
use crate::message::Batch;
use crate::plugin::FilterCall;
use crate::plugin::Filtering;
use crate::plugin::Stop;

/// A state is taken when so much has been gone over since the last.
const MAX_BYTES: usize = 4 << 20;
const MAX_CALLS: usize = 4096;
/// How much wider the limit is while it goes over them once more.
const WIDER: u32 = 8;
/// After so many in a minute of history a version is at its end.
const MAX_LIMITS: usize = 60;
const MINUTE: Duration = Duration::from_mins(1);

/// Starts a version anew.
pub(super) type Start = Box<dyn Fn() -> anyhow::Result<Box<dyn Filtering>>>;

/// One call: the messages it was about; none is a timer.
struct Call {
    moment: Moment,
    messages: Option<Batch>,
}

/// See the module.
pub(super) struct Past {
    start: Start,
    state: Option<Vec<u8>>,
    calls: Vec<Call>,
    bytes: usize,
    /// When limits ended calls, in nanoseconds of history.
    limits: Vec<i64>,
}

impl Past {
    pub(super) fn new(start: Start) -> Past {
        Past { start, state: None, calls: Vec::new(), bytes: 0, limits: Vec::new() }
    }

    /// The version begins with this state.
    pub(super) fn begin_with(&mut self, state: &[u8]) {
        self.state = Some(state.to_vec());
    }

    /// Notes a call that has come to its end but for the messages set `aside`, and takes a state where it
    /// is due.
    pub(super) fn note(
        &mut self,
        moment: Moment,
        work: Work<'_>,
        aside: &[u16],
        filtering: &mut dyn Filtering,
    ) {
        let messages = match work {
            Work::Timer => None,
            Work::Batch(batch, matched) => Some(chosen(batch, matched, aside)),
        };
        self.bytes += messages.as_ref().map_or(0, |batch| batch.bytes().len());
        self.calls.push(Call { moment, messages });
        if (self.bytes > MAX_BYTES || self.calls.len() >= MAX_CALLS)
            && let Ok(Some(state)) = filtering.snapshot()
        {
            self.state = Some(state);
            self.calls.clear();
            self.bytes = 0;
        }
    }

    /// Tells whether the version may go on after a limit at this moment.
    pub(super) fn may_go_on(&mut self, time: i64) -> bool {
        let minute = i64::try_from(MINUTE.as_nanos()).unwrap_or(i64::MAX);
        self.limits.retain(|limit| time.saturating_sub(*limit) < minute);
        self.limits.push(time);
        self.limits.len() <= MAX_LIMITS
    }

    /// A version as it was before the call at hand.
    ///
    /// # Errors
    /// When it does not come as far again.
    pub(super) fn again(&self) -> anyhow::Result<Box<dyn Filtering>> {
        let mut filtering = (self.start)()?;
        if let Some(state) = &self.state {
            filtering.restore(state)?;
        }
        for Call { moment, messages } in &self.calls {
            let work = messages.as_ref().map(|batch| (batch, all(batch)));
            let work = match &work {
                None => Work::Timer,
                Some((batch, matched)) => Work::Batch(batch, matched),
            };
            muted(filtering.as_mut(), *moment, work)?;
        }
        Ok(filtering)
    }
}

/// Has a version go over something once more: what it injects and what fails has been told.
///
/// # Errors
/// When it does not come to its end with a wider limit either.
pub(super) fn muted(
    filtering: &mut dyn Filtering,
    moment: Moment,
    work: Work<'_>,
) -> anyhow::Result<()> {
    let mut out = Batch::new();
    let mut call = FilterCall {
        entry: moment.entry,
        time: moment.time,
        engine_time: moment.engine_time,
        out: &mut out,
        on_failure: &mut |_| (),
    };
    filtering.widen(WIDER);
    let done = match work {
        Work::Batch(batch, matched) => filtering.process(batch, matched, &mut call),
        Work::Timer => filtering.timer(&mut call),
    };
    filtering.widen(1);
    match done {
        Ok(()) => Ok(()),
        Err(Stop::Limit { reason, .. } | Stop::Ended { reason }) => Err(anyhow::anyhow!(reason)),
    }
}

/// The messages of a batch that matched and are not set aside.
fn chosen(batch: &Batch, matched: &[u16], aside: &[u16]) -> Batch {
    let mut out = Batch::new();
    for index in matched.iter().filter(|index| !aside.contains(index)) {
        let index = usize::from(*index);
        let message = batch.message(index);
        // It has just been a message of a batch, so it is one of another.
        let _ = out.push_located(message.bytes(), *message.header(), batch.marks(index));
    }
    out
}

fn all(batch: &Batch) -> Vec<u16> {
    (0..u16::MAX).take(batch.len()).collect()
}
