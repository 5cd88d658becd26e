//! `socket.select`: waits for several sockets at once.

use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::time::Duration;
use std::time::Instant;

use nix::poll::PollFd;
use nix::poll::PollFlags;

use super::arguments::Call;
use super::context::Context;
use super::raw::Answer;
use super::raw::Args;
use super::raw::Complaint;
use super::raw::Value;
use super::sockets::LuaSocket;
use super::waiting;

/// How many sockets one call may wait for.
const MAX_SOCKETS: usize = 1024;

/// A socket that is waited for.
struct Waited {
    /// Which argument it stands in, and where there.
    argument: usize,
    index: usize,
    fd: OwnedFd,
    flags: PollFlags,
    is_ready: bool,
}

/// `socket.select(readers, writers[, seconds])` → those that can be read, those that can be written to,
/// each by its number and by itself, and `timeout` where there are none.
pub(super) fn select<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("select", args);
    let timeout = call.optional_number(3, -1.0)?;
    let deadline =
        (timeout >= 0.0).then(|| Instant::now() + Duration::from_secs_f64(timeout.min(1e9)));
    let mut waited = Vec::new();
    gather(&call, 1, PollFlags::POLLIN, &mut waited)?;
    gather(&call, 2, PollFlags::POLLOUT, &mut waited)?;
    // What was read ahead is there at once.
    let is_ready = waited.iter().any(|socket| socket.is_ready);
    let mut fds: Vec<_> =
        waited.iter().map(|socket| PollFd::new(socket.fd.as_fd(), socket.flags)).collect();
    let deadline = if is_ready { Some(Instant::now()) } else { deadline };
    waiting::any(cx, &args, &mut fds, deadline)?;
    let found: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
    for (socket, found) in waited.iter_mut().zip(found) {
        socket.is_ready |= found;
    }
    let tape = &mut cx.tape;
    tape.clear();
    for argument in [1, 2] {
        tape.table(4, 4);
        let ready = waited.iter().filter(|it| it.is_ready && it.argument == argument);
        for (number, socket) in ready.enumerate() {
            tape.given(argument, socket.index);
            tape.item(number + 1);
            tape.given(argument, socket.index);
            tape.number((number + 1) as f64);
            tape.pair();
        }
    }
    if waited.iter().any(|socket| socket.is_ready) {
        return Ok(Answer::Tape(2));
    }
    tape.text(b"timeout");
    Ok(Answer::Tape(3))
}

/// Adds the sockets in a list.
fn gather(
    call: &Call<'_>,
    argument: usize,
    flags: PollFlags,
    waited: &mut Vec<Waited>,
) -> Result<(), Complaint> {
    let list = match call.value(argument) {
        Value::Nil => return Ok(()),
        Value::Table(list) => list,
        _ => return Err(call.wrong(argument, "list of sockets")),
    };
    if list.len() > MAX_SOCKETS {
        return Err(call.refused(argument, "sockets", format!("more than {MAX_SOCKETS}")));
    }
    for index in 1..=list.len() {
        let found = list.item(index, |value| {
            let Value::Object(object) = value else { return None };
            let mut object = object.try_borrow_mut().ok()?;
            let socket = object.as_any_mut().downcast_mut::<LuaSocket>()?;
            let fd = socket.fd()?.try_clone_to_owned().ok()?;
            let is_ready = flags == PollFlags::POLLIN && !socket.ahead.is_empty();
            Some(Waited { argument, index, fd, flags, is_ready })
        });
        // One that is closed, or not yet a socket of the system, is never ready.
        waited.extend(found.flatten());
    }
    Ok(())
}
