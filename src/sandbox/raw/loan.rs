//! What a call lends to the host functions it reaches: the message it is about, where injections
//! go, the draft being changed.
//!
//! [`State::lend`](super::State::lend) sets the pointers for the time of a closure and takes them
//! back when it ends, so that outside a call there is nothing to be found here.

use std::ptr::NonNull;

use crate::message::Batch;
use crate::message::Draft;
use crate::message::Message;
use crate::sandbox::feed::Feed;

/// What is lent for the time of a call.
#[derive(Default)]
pub(in crate::sandbox) struct Loans<'a> {
    /// One message.
    pub(in crate::sandbox) message: Option<&'a Message<'a>>,
    /// A message that may be changed.
    pub(in crate::sandbox) draft: Option<&'a mut Draft>,
    /// Where injected messages go.
    pub(in crate::sandbox) out: Option<&'a mut Batch>,
    /// Where the messages of an input go.
    pub(in crate::sandbox) feed: Option<&'a mut (dyn Feed + 'static)>,
}

/// Pointers that are valid during a call, empty outside one.
#[derive(Default)]
pub(in crate::sandbox) struct Loan {
    batch: Option<NonNull<Batch>>,
    index: usize,
    message: Option<NonNull<Message<'static>>>,
    draft: Option<NonNull<Draft>>,
    out: Option<NonNull<Batch>>,
    feed: Option<NonNull<dyn Feed>>,
}

impl std::fmt::Debug for Loan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loan").finish_non_exhaustive()
    }
}

impl Loan {
    pub(super) fn begin(&mut self, loans: Loans<'_>) {
        self.batch = None;
        self.message = loans.message.map(|message| NonNull::from(message).cast());
        self.draft = loans.draft.map(NonNull::from);
        self.out = loans.out.map(NonNull::from);
        self.feed = loans.feed.map(NonNull::from);
        self.index = 0;
    }

    pub(super) fn end(&mut self) {
        *self = Loan::default();
    }

    /// Turns to the messages of a batch that outlives the loan.
    pub(super) fn turn_over(&mut self, batch: &Batch) {
        self.batch = Some(NonNull::from(batch));
    }

    pub(super) fn turn_to(&mut self, index: usize) {
        self.index = index;
    }

    /// The message the call is about.
    pub(in crate::sandbox) fn message(&self) -> Option<Message<'_>> {
        if let Some(batch) = self.batch {
            // SAFETY: what is lent lives until it is taken back, and the result borrows the loan.
            let batch = unsafe { batch.as_ref() };
            return (self.index < batch.len()).then(|| batch.message(self.index));
        }
        // SAFETY: as above; the longer lifetime is shortened to that of the loan.
        self.message.map(|message| unsafe { *message.as_ref() })
    }

    /// The draft the call changes, to be read.
    pub(in crate::sandbox) fn draft(&self) -> Option<&Draft> {
        // SAFETY: lent as a unique reference, and read under a shared borrow of the loan.
        self.draft.map(|draft| unsafe { draft.as_ref() })
    }

    /// The draft the call changes.
    pub(in crate::sandbox) fn draft_mut(&mut self) -> Option<&mut Draft> {
        // SAFETY: lent as a unique reference, and handed out under a unique borrow of the loan.
        self.draft.map(|mut draft| unsafe { draft.as_mut() })
    }

    /// Where the messages of an input go.
    pub(in crate::sandbox) fn feed(&mut self) -> Option<&mut (dyn Feed + 'static)> {
        // SAFETY: lent as a unique reference, and handed out under a unique borrow of the loan.
        self.feed.map(|mut feed| unsafe { feed.as_mut() })
    }

    /// Where injected messages go.
    pub(in crate::sandbox) fn out(&mut self) -> Option<&mut Batch> {
        // SAFETY: lent as a unique reference, and handed out under a unique borrow of the loan.
        self.out.map(|mut out| unsafe { out.as_mut() })
    }
}
