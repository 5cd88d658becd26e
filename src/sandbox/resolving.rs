//! Addresses and names: where the ends of a socket are, and what a name stands for.

use std::io::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;

use super::arguments::Call;
use super::context::Context;
use super::raw::Answer;
use super::raw::Args;
use super::raw::Complaint;
use super::sockets::LuaSocket;
use super::sockets::State;
use super::sockets::failed;
use super::sockets::text_of;

/// `socket.dns.gethostname()` → the name of this machine.
pub(super) fn gethostname<'a>(cx: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Text(cx.setting.hostname.as_bytes()))
}

/// `socket.dns.toip(host)` → the first address, and a table of all of them.
pub(super) fn toip<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let host = Call::function("toip", args).text(1)?;
    let host = String::from_utf8_lossy(host).into_owned();
    let found: Vec<SocketAddr> = match (&*host, 0).to_socket_addrs() {
        Ok(found) => found.collect(),
        Err(_) => return Ok(failed(cx, "host not found")),
    };
    let mut texts: Vec<String> = found.iter().map(|it| it.ip().to_string()).collect();
    texts.dedup();
    let Some(first) = texts.first() else { return Ok(failed(cx, "host not found")) };
    let tape = &mut cx.tape;
    tape.clear();
    tape.text(first.as_bytes());
    tape.table(0, 3);
    tape.text(b"name");
    tape.text(host.as_bytes());
    tape.pair();
    tape.text(b"alias");
    tape.table(0, 0);
    tape.pair();
    tape.text(b"ip");
    tape.table(texts.len(), 0);
    for (index, text) in texts.iter().enumerate() {
        tape.text(text.as_bytes());
        tape.item(index + 1);
    }
    tape.pair();
    Ok(Answer::Tape(2))
}

fn address(cx: &mut Context, found: Result<SocketAddr, Error>) -> Answer<'_> {
    match found {
        Ok(address) => {
            cx.tape.clear();
            cx.tape.text(address.ip().to_string().as_bytes());
            cx.tape.number(f64::from(address.port()));
            Answer::Tape(2)
        }
        Err(error) => failed(cx, &text_of(&error)),
    }
}

/// `socket:getpeername()` → address and port of the other end.
pub(super) fn getpeername<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("getpeername", args).this::<LuaSocket>()?;
    let found = match &this.state {
        State::Stream(stream) => stream.peer_addr(),
        State::Datagram(socket) => socket.peer_addr(),
        _ => Err(ErrorKind::BrokenPipe.into()),
    };
    Ok(address(cx, found))
}

/// `socket:getsockname()` → address and port of this end.
pub(super) fn getsockname<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("getsockname", args).this::<LuaSocket>()?;
    let found = match &this.state {
        State::Stream(stream) => stream.local_addr(),
        State::Listener(listener) => listener.local_addr(),
        State::Datagram(socket) => socket.local_addr(),
        State::Bound(socket) => socket.local_addr().and_then(|address| {
            address.as_socket().ok_or_else(|| ErrorKind::AddrNotAvailable.into())
        }),
        _ => Err(ErrorKind::BrokenPipe.into()),
    };
    Ok(address(cx, found))
}
