//! `xxhash`: fast hashes that are the same everywhere, not for secrets.

use std::hash::Hasher;

use twox_hash::XxHash32;
use twox_hash::XxHash64;

use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"xxhash",
    functions: &[(c"h32", h32), (c"h64", h64), (c"hex64", hex64)],
    parts: &[],
    kinds: &[],
};

/// Bytes hashed between two looks at the limit of time.
pub(super) const STRIDE: usize = 256 * 1024;

/// `xxhash.h32(key[, seed])` → a whole number of 32 bits.
fn h32<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("h32", args);
    let key = call.key(1)?;
    let seed = call.optional_whole(2, "seed", 0..=i64::from(u32::MAX), 0)?;
    let mut hasher = XxHash32::with_seed(u32::try_from(seed).unwrap_or(0));
    Ok(Answer::Number(digest(call, &mut hasher, key.bytes())? as f64))
}

/// `xxhash.h64(key[, seed])` → a number: the 64 bits rounded to the 53 that a number has.
fn h64<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Number(long(Call::function("h64", args))? as f64))
}

/// `xxhash.hex64(key[, seed])` → all 64 bits, as 16 digits.
fn hex64<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let hash = long(Call::function("hex64", args))?;
    cx.scratch.clear();
    cx.scratch.extend_from_slice(format!("{hash:016x}").as_bytes());
    Ok(Answer::Text(&cx.scratch))
}

fn long(call: Call<'_>) -> Result<u64, Complaint> {
    let key = call.key(1)?;
    let seed = call.optional_whole(2, "seed", 0..=1 << 53, 0)?;
    digest(call, &mut XxHash64::with_seed(seed.cast_unsigned()), key.bytes())
}

fn digest(call: Call<'_>, hasher: &mut impl Hasher, bytes: &[u8]) -> Result<u64, Complaint> {
    for part in bytes.chunks(STRIDE) {
        call.args.go_on()?;
        hasher.write(part);
    }
    Ok(hasher.finish())
}
