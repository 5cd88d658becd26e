//! `hmac`: signatures of texts with a key.

use ::hmac::Hmac;
use ::hmac::KeyInit;
use ::hmac::Mac;
use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;
use sha2::Sha512;

use super::sha;
use super::xxhash::STRIDE;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"hmac",
    functions: &[(c"md5", md5), (c"sha1", sha1), (c"sha256", sha256), (c"sha512", sha512)],
    parts: &[],
    kinds: &[],
};

/// `hmac.md5(key, text[, raw])` → digits, or bytes where `raw` is true; so are the others.
fn md5<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    sign::<Hmac<Md5>>(cx, Call::function("md5", args))
}

/// `hmac.sha1(key, text[, raw])`.
fn sha1<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    sign::<Hmac<Sha1>>(cx, Call::function("sha1", args))
}

/// `hmac.sha256(key, text[, raw])`.
fn sha256<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    sign::<Hmac<Sha256>>(cx, Call::function("sha256", args))
}

/// `hmac.sha512(key, text[, raw])`.
fn sha512<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    sign::<Hmac<Sha512>>(cx, Call::function("sha512", args))
}

fn sign<'a, M: Mac + KeyInit>(
    cx: &'a mut Context,
    call: Call<'a>,
) -> Result<Answer<'a>, Complaint> {
    let (key, text) = (call.text(1)?, call.text(2)?);
    if key.len() > STRIDE {
        return Err(call.refused(1, "key", "too long"));
    }
    let mac = <M as KeyInit>::new_from_slice(key);
    let mut mac = mac.map_err(|_| call.refused(1, "key", "of no use"))?;
    for part in text.chunks(STRIDE) {
        call.args.go_on()?;
        mac.update(part);
    }
    Ok(sha::answer(cx, &mac.finalize().into_bytes(), call.args.truth(3)))
}
