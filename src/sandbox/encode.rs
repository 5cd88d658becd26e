//! What decoders and encoders do.

use super::Sandbox;
use super::failure::Trouble;
use super::process::call;
use super::raw::Entry;
use super::raw::Loans;
use super::raw::With;
use crate::message::Batch;
use crate::message::Draft;
use crate::message::Message;

/// The status by which an encoder says that a message has no output.
const NO_OUTPUT: i64 = -2;

impl Sandbox {
    /// Calls `process_message` of a decoder.
    ///
    /// `draft` is the record on its way to be a message: what the script writes changes it, the
    /// first message it injects replaces it, and every further one is appended to `out`.
    ///
    /// # Errors
    /// When the script could not decode the record; the draft may then be half changed, and `out`
    /// is as it was.
    pub fn decode(&mut self, draft: &mut Draft, out: &mut Batch) -> Result<(), Trouble> {
        let kept = out.len();
        let _watched = self.watch_call();
        let loans = Loans { draft: Some(draft), out: Some(&mut *out), ..Loans::default() };
        let result = self.state.lend(loans, |state| {
            state.cx().begin_call(0, 0, u32::MAX);
            call(state, Entry::ProcessMessage, With::Message, None)
        });
        if result.is_err() {
            out.truncate(kept);
        }
        self.state.cx().usage.calls += 1;
        result
    }

    /// Calls `process_message` of an encoder and appends what it makes of `message` to `out`; false
    /// when the script says that there is nothing to send.
    ///
    /// A script that neither injects nor writes leaves the message as it is.
    ///
    /// # Errors
    /// When the script could not encode the message; `out` is then as it was.
    pub fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> Result<bool, Trouble> {
        let _watched = self.watch_call();
        let loans = Loans { message: Some(message), ..Loans::default() };
        let result = self.state.lend(loans, |state| {
            state.cx().begin_call(0, 0, u32::MAX);
            call(state, Entry::ProcessMessage, With::Message, None)
        });
        let cx = self.state.cx();
        cx.usage.calls += 1;
        match result {
            Ok(()) => {}
            Err(Trouble::Failed(failure)) if failure.status == Some(NO_OUTPUT) => {
                cx.usage.failed -= 1;
                return Ok(false);
            }
            Err(trouble) => return Err(trouble),
        }
        if cx.call.has_output {
            out.extend_from_slice(&cx.call.output);
        } else if cx.call.has_copy {
            let mut batch = Batch::new();
            if cx.call.copy.write(&mut batch).is_ok() {
                out.extend_from_slice(batch.message(0).bytes());
            }
        } else {
            out.extend_from_slice(message.bytes());
        }
        Ok(true)
    }
}
