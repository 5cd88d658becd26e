//! The rest of `os`: the environment, programs and the names of files, for inputs and outputs alone.

use std::fs;
use std::io::Error;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::io;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Named;

/// What is added to `os`.
pub(super) const FUNCTIONS: &[Named] = &[
    (c"getenv", getenv),
    (c"execute", execute),
    (c"remove", remove),
    (c"rename", rename),
    (c"tmpname", tmpname),
];

fn text<'a>(call: &Call<'a>, number: usize, what: &str) -> Result<&'a str, Complaint> {
    let text = call.text(number)?;
    let text = std::str::from_utf8(text).ok().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| call.refused(number, what, "text without zero bytes expected"))
}

/// `os.getenv(name)` → the value; nil when there is none.
fn getenv<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let name = text(&Call::function("getenv", args), 1, "name")?;
    let is_name = !name.is_empty() && !name.contains('=');
    let Some(value) = is_name.then(|| std::env::var_os(name)).flatten() else {
        return Ok(Answer::Nil);
    };
    cx.scratch.clear();
    cx.scratch.extend_from_slice(value.as_encoded_bytes());
    Ok(Answer::Text(&cx.scratch))
}

/// `os.execute([command])` → what the program returned; without a command whether there is a shell.
fn execute<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("execute", args);
    if call.is_absent(1) {
        return Ok(Answer::Number(1.0));
    }
    let command = text(&call, 1, "command")?;
    cx.hand_over();
    Ok(match Command::new("/bin/sh").arg("-c").arg(command).status() {
        // As `system` gives it: the status in the second byte.
        Ok(status) => Answer::Number(status.code().map_or(-1.0, |code| f64::from(code) * 256.0)),
        Err(error) => io::failed(cx, None, &error),
    })
}

fn told<'a>(cx: &mut Context, path: &str, result: Result<(), Error>) -> Answer<'a> {
    match result {
        Ok(()) => Answer::Bool(true),
        Err(error) => io::failed(cx, Some(Path::new(path)), &error),
    }
}

/// `os.remove(filename)` → true; an empty folder goes too.
fn remove<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let path = text(&Call::function("remove", args), 1, "filename")?;
    let is_folder = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    let result = if is_folder { fs::remove_dir(path) } else { fs::remove_file(path) };
    Ok(told(cx, path, result))
}

/// `os.rename(old, new)` → true.
fn rename<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("rename", args);
    let (old, new) = (text(&call, 1, "old")?, text(&call, 2, "new")?);
    Ok(told(cx, old, fs::rename(old, new)))
}

/// `os.tmpname()` → a name that no file has.
fn tmpname<'a>(cx: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let path = temporary_name();
    cx.scratch.clear();
    cx.scratch.extend_from_slice(path.as_os_str().as_encoded_bytes());
    Ok(Answer::Text(&cx.scratch))
}

/// A name that no file has, in the folder for temporary ones.
pub(super) fn temporary_name() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("heka-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        if fs::symlink_metadata(&path).is_err() {
            return path;
        }
    }
}
