//! The sockets that scripts of inputs and outputs hold. None of them blocks.

use std::io::Error;
use std::io::ErrorKind;
use std::io::Read;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::net::ToSocketAddrs;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::time::Duration;
use std::time::Instant;

use nix::errno::Errno;
use socket2::Domain;
use socket2::Socket;
use socket2::Type;

use super::arguments::Call;
use super::context::Context;
use super::raw::Answer;
use super::raw::Args;
use super::raw::Complaint;
use super::waiting;

/// What is read at a time, in bytes.
pub(super) const CHUNK: usize = 16 * 1024;

/// What a socket is so far.
#[derive(Debug)]
pub(super) enum State {
    /// Neither bound nor connected; whether it is to be UDP.
    Fresh(bool),
    /// Bound to an address, to listen there or to connect from there.
    Bound(Socket),
    Stream(TcpStream),
    Listener(TcpListener),
    Datagram(UdpSocket),
    Closed,
}

/// A socket as a script holds it.
#[derive(Debug)]
pub(super) struct LuaSocket {
    pub(super) state: State,
    /// How long a call may wait; `None` is as long as it takes.
    pub(super) timeout: Option<Duration>,
    /// Bytes read ahead of a stream.
    pub(super) ahead: Vec<u8>,
}

impl LuaSocket {
    pub(super) fn new(state: State) -> LuaSocket {
        LuaSocket { state, timeout: None, ahead: Vec::new() }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timeout.map(|timeout| Instant::now() + timeout)
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Stream(stream) => Some(stream.as_fd()),
            State::Listener(listener) => Some(listener.as_fd()),
            State::Datagram(socket) => Some(socket.as_fd()),
            State::Bound(socket) => Some(socket.as_fd()),
            State::Fresh(_) | State::Closed => None,
        }
    }
}

/// The addresses that a host, `*` for all, and a port stand for.
pub(super) fn addresses(
    call: &Call<'_>,
    number: usize,
) -> Result<Result<Vec<SocketAddr>, Error>, Complaint> {
    let host = call.text(number)?;
    let host = std::str::from_utf8(host).map_err(|_| call.refused(number, "host", "not UTF-8"))?;
    let port = call.whole(number + 1, "port", 0..=65_535)?;
    let host = if host == "*" { "0.0.0.0" } else { host };
    let found = (host, u16::try_from(port).unwrap_or(0)).to_socket_addrs();
    Ok(found.map(Iterator::collect))
}

/// A TCP socket bound to the first of the addresses.
pub(super) fn bind(found: &[SocketAddr]) -> Result<Socket, Error> {
    let address = found.first().ok_or(ErrorKind::NotFound)?;
    let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&(*address).into())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Connects to the first of the addresses that answers, from where `bound` is, if anywhere.
pub(super) fn dial(
    cx: &mut Context,
    args: &Args<'_>,
    (bound, found): (Option<&Socket>, &[SocketAddr]),
    deadline: Option<Instant>,
) -> Result<Result<TcpStream, Error>, Complaint> {
    let mut last = Error::new(ErrorKind::NotFound, "host not found");
    for address in found {
        let begun = match bound {
            Some(bound) => bound.try_clone(),
            None => Socket::new(Domain::for_address(*address), Type::STREAM, None)
                .and_then(|socket| socket.set_nonblocking(true).map(|()| socket)),
        };
        let socket = match begun {
            Ok(socket) => socket,
            Err(error) => return Ok(Err(error)),
        };
        match socket.connect(&(*address).into()) {
            Ok(()) => return Ok(Ok(socket.into())),
            Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
            Err(error) => {
                last = error;
                continue;
            }
        }
        if !waiting::writable(cx, args, socket.as_fd(), deadline)? {
            return Ok(Err(ErrorKind::TimedOut.into()));
        }
        match socket.take_error() {
            Ok(None) => return Ok(Ok(socket.into())),
            Ok(Some(error)) | Err(error) => last = error,
        }
    }
    Ok(Err(last))
}

/// nil and what went wrong.
pub(super) fn failed<'a>(cx: &mut Context, text: &str) -> Answer<'a> {
    cx.tape.clear();
    cx.tape.nil();
    cx.tape.text(text.as_bytes());
    Answer::Tape(2)
}

/// What scripts are told of an error.
pub(super) fn text_of(error: &Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "timeout".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
            "closed".to_owned()
        }
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::AddrInUse => "address already in use".to_owned(),
        _ => error.to_string(),
    }
}

/// How much `receive` wants.
pub(super) enum Wanted {
    Line,
    All,
    Bytes(usize),
}

/// Reads what is wanted of a stream into the scratch, behind `prefix`; why not, where it cannot.
pub(super) fn read_until(
    cx: &mut Context,
    args: &Args<'_>,
    socket: &mut LuaSocket,
    wanted: &Wanted,
    prefix: &[u8],
) -> Result<Option<String>, Complaint> {
    let deadline = socket.deadline();
    let why = loop {
        let held = &socket.ahead;
        let end = match *wanted {
            Wanted::Line => memchr::memchr(b'\n', held).map(|at| (at, at + 1)),
            Wanted::All => None,
            Wanted::Bytes(count) => {
                let count = count.saturating_sub(prefix.len());
                (held.len() >= count).then_some((count, count))
            }
        };
        if let Some((end, next)) = end {
            let out = &mut cx.scratch;
            out.clear();
            out.extend_from_slice(prefix);
            let is_line = matches!(wanted, Wanted::Line);
            out.extend(held[..end].iter().filter(|byte| !is_line || **byte != b'\r'));
            socket.ahead.drain(..next);
            return Ok(None);
        }
        if !args.admit(held.len() + CHUNK + prefix.len()) {
            return Err("not enough memory".into());
        }
        let State::Stream(stream) = &mut socket.state else { break "closed".to_owned() };
        let mut chunk = [0; CHUNK];
        match stream.read(&mut chunk) {
            Ok(0) => break "closed".to_owned(),
            Ok(count) => socket.ahead.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if !waiting::readable(cx, args, stream.as_fd(), deadline)? {
                    break "timeout".to_owned();
                }
            }
            Err(error) => break text_of(&error),
        }
    };
    Ok(Some(why))
}
