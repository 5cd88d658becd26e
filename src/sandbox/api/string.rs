//! `string.split`, in linear time.

use memchr::memmem;

use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;

/// What a piece takes on its way to Lua, about.
const PIECE_BYTES: usize = 96;

/// `string.split(text[, separator])` → the pieces; an empty separator gives single bytes.
pub(super) fn split<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("split", args);
    let text = call.text(1)?;
    let separator = call.optional_text(2, b",")?;
    let finder = memmem::Finder::new(separator);
    let count = if separator.is_empty() { text.len() } else { finder.find_iter(text).count() + 1 };
    if !args.admit(count.saturating_mul(PIECE_BYTES).saturating_add(text.len())) {
        return Err("not enough memory".into());
    }
    let tape = &mut cx.tape;
    tape.clear();
    tape.table(count, 0);
    if separator.is_empty() {
        for (index, byte) in text.iter().enumerate() {
            tape.text(&[*byte]);
            tape.item(index + 1);
        }
        return Ok(Answer::Tape(1));
    }
    let (mut start, mut index) = (0, 0);
    for at in finder.find_iter(text).chain([text.len()]) {
        index += 1;
        tape.text(&text[start..at]);
        tape.item(index);
        start = (at + separator.len()).min(text.len());
    }
    Ok(Answer::Tape(1))
}
