//! How much of what was written the other side has not confirmed.

use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;

/// The bytes that lie in the socket's queue: for TCP what the other side's system has not
/// acknowledged, for a Unix socket what the other side has not read.
#[allow(unsafe_code, reason = "no crate we use asks a socket for this")]
pub(super) fn unacknowledged(socket: BorrowedFd<'_>) -> std::io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as it is borrowed, and TIOCOUTQ writes one int.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if answer < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(usize::try_from(bytes).unwrap_or(0))
}
