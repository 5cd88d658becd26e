//! `sha`: hashes of texts, MD5 among them for what still asks for it.

use std::fmt::Write;

use md5::Md5;
use sha1::Digest;
use sha1::Sha1;
use sha2::Sha256;
use sha2::Sha384;
use sha2::Sha512;

use super::xxhash::STRIDE;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"sha",
    functions: &[
        (c"md5", md5),
        (c"sha1", sha1),
        (c"sha256", sha256),
        (c"sha384", sha384),
        (c"sha512", sha512),
    ],
    parts: &[],
    kinds: &[],
};

/// `sha.md5(text[, raw])` → digits, or bytes where `raw` is true; so are the others.
fn md5<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    hash::<Md5>(cx, Call::function("md5", args))
}

/// `sha.sha1(text[, raw])`.
fn sha1<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    hash::<Sha1>(cx, Call::function("sha1", args))
}

/// `sha.sha256(text[, raw])`.
fn sha256<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    hash::<Sha256>(cx, Call::function("sha256", args))
}

/// `sha.sha384(text[, raw])`.
fn sha384<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    hash::<Sha384>(cx, Call::function("sha384", args))
}

/// `sha.sha512(text[, raw])`.
fn sha512<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    hash::<Sha512>(cx, Call::function("sha512", args))
}

fn hash<'a, D: Digest>(cx: &'a mut Context, call: Call<'a>) -> Result<Answer<'a>, Complaint> {
    let text = call.text(1)?;
    let mut hasher = D::new();
    for part in text.chunks(STRIDE) {
        call.args.go_on()?;
        hasher.update(part);
    }
    Ok(answer(cx, &hasher.finalize(), call.args.truth(2)))
}

/// A digest as bytes or as digits.
pub(super) fn answer<'a>(cx: &'a mut Context, digest: &[u8], is_raw: bool) -> Answer<'a> {
    cx.scratch.clear();
    if is_raw {
        cx.scratch.extend_from_slice(digest);
    } else {
        let mut text = String::with_capacity(digest.len() * 2);
        for byte in digest {
            let _ = write!(text, "{byte:02x}");
        }
        cx.scratch.extend_from_slice(text.as_bytes());
    }
    Answer::Text(&cx.scratch)
}
