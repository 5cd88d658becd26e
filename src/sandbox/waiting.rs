//! Waiting for a descriptor, in slices: an input that is to end does not wait any longer, and a call that
//! is to be ended is.

use std::os::fd::BorrowedFd;
use std::time::Duration;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::PollFd;
use nix::poll::PollFlags;
use nix::poll::PollTimeout;
use nix::poll::poll;

use super::context::Context;
use super::raw::Args;
use super::raw::Complaint;

/// How long one slice lasts at most, in milliseconds.
const SLICE: u16 = 50;

/// Waits until there is something to read. False when the time is up, or the script is to end.
pub(super) fn readable(
    cx: &mut Context,
    args: &Args<'_>,
    fd: BorrowedFd<'_>,
    deadline: Option<Instant>,
) -> Result<bool, Complaint> {
    wait(cx, args, (fd, PollFlags::POLLIN), deadline, Context::is_running)
}

/// Waits until something can be written. False when the time is up.
pub(super) fn writable(
    cx: &mut Context,
    args: &Args<'_>,
    fd: BorrowedFd<'_>,
    deadline: Option<Instant>,
) -> Result<bool, Complaint> {
    wait(cx, args, (fd, PollFlags::POLLOUT), deadline, |_| true)
}

/// Waits until one of several descriptors can be used; `false` when the time is up, or the script is to
/// end. What can be used is in them.
pub(super) fn any(
    cx: &mut Context,
    args: &Args<'_>,
    fds: &mut [PollFd<'_>],
    deadline: Option<Instant>,
) -> Result<bool, Complaint> {
    let mut is_first = true;
    loop {
        let slice = if is_first { 0 } else { slice_until(deadline) };
        match poll(fds, PollTimeout::from(slice)) {
            Ok(0) | Err(Errno::EINTR | Errno::EAGAIN) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(format!("cannot wait: {error}").into()),
        }
        args.go_on()?;
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) || !cx.is_running() {
            return Ok(false);
        }
        if std::mem::take(&mut is_first) {
            cx.hand_over();
        }
    }
}

fn wait(
    cx: &mut Context,
    args: &Args<'_>,
    (fd, events): (BorrowedFd<'_>, PollFlags),
    deadline: Option<Instant>,
    goes_on: fn(&Context) -> bool,
) -> Result<bool, Complaint> {
    let mut is_first = true;
    loop {
        // What is there already is taken without handing over, which may wait for the engine.
        let slice = if is_first { 0 } else { slice_until(deadline) };
        match poll(&mut [PollFd::new(fd, events)], PollTimeout::from(slice)) {
            Ok(0) | Err(Errno::EINTR | Errno::EAGAIN) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(format!("cannot wait: {error}").into()),
        }
        args.go_on()?;
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) || !goes_on(cx) {
            return Ok(false);
        }
        if std::mem::take(&mut is_first) {
            cx.hand_over();
        }
    }
}

/// Sleeps until a moment, or until the script is to end.
pub(super) fn sleep(cx: &mut Context, args: &Args<'_>, deadline: Instant) -> Result<(), Complaint> {
    cx.hand_over();
    while Instant::now() < deadline && cx.is_running() {
        args.go_on()?;
        std::thread::sleep(Duration::from_millis(u64::from(slice_until(Some(deadline)))));
    }
    Ok(())
}

/// Milliseconds to wait now, rounded up.
fn slice_until(deadline: Option<Instant>) -> u16 {
    let Some(deadline) = deadline else { return SLICE };
    let left = deadline.saturating_duration_since(Instant::now());
    u16::try_from(left.as_micros().div_ceil(1000)).unwrap_or(SLICE).min(SLICE)
}
