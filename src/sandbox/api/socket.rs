//! `socket`: TCP and UDP as luasocket has them, for inputs and outputs alone.
//!
//! No socket blocks the thread: a call waits in slices, so that an input that is to end does. What fails
//! gives nil and a text: `timeout`, `closed` or what the system says.

use std::any::Any;
use std::io::ErrorKind;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Duration;
use std::time::Instant;

use socket2::SockRef;

use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::context::wall_clock_ns;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;
use crate::sandbox::raw::Object;
use crate::sandbox::raw::ObjectKind;
use crate::sandbox::raw::Value;
use crate::sandbox::resolving::gethostname;
use crate::sandbox::resolving::getpeername;
use crate::sandbox::resolving::getsockname;
use crate::sandbox::resolving::toip;
use crate::sandbox::selecting::select;
use crate::sandbox::sockets;
use crate::sandbox::sockets::CHUNK;
use crate::sandbox::sockets::LuaSocket;
use crate::sandbox::sockets::State;
use crate::sandbox::sockets::Wanted;
use crate::sandbox::sockets::addresses;
use crate::sandbox::sockets::dial;
use crate::sandbox::sockets::failed;
use crate::sandbox::sockets::read_until;
use crate::sandbox::sockets::text_of;
use crate::sandbox::waiting;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"socket",
    functions: &[
        (c"tcp", tcp),
        (c"udp", udp),
        (c"connect", connect_new),
        (c"bind", bind_new),
        (c"gettime", gettime),
        (c"sleep", sleep),
        (c"select", select),
    ],
    parts: &[(c"dns", &[(c"gethostname", gethostname), (c"toip", toip)])],
    kinds: &[ObjectKind {
        tag: TAG,
        name: c"socket",
        methods: &[
            (c"connect", connect),
            (c"bind", bind),
            (c"listen", listen),
            (c"accept", accept),
            (c"send", send),
            (c"receive", receive),
            (c"setsockname", bind),
            (c"setpeername", connect),
            (c"sendto", sendto),
            (c"receivefrom", receivefrom),
            (c"settimeout", settimeout),
            (c"setoption", setoption),
            (c"getpeername", getpeername),
            (c"getsockname", getsockname),
            (c"shutdown", shutdown),
            (c"close", close),
        ],
        metamethods: &[],
        load: |_| None,
    }],
};

const TAG: u8 = 23;

/// The largest datagram, in bytes.
const MAX_DATAGRAM: usize = 65_535;

impl Object for LuaSocket {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        self.ahead.capacity() + CHUNK
    }

    fn print(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }

    fn save(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &[u8]) -> Result<(), String> {
        Err("a socket is not kept".to_owned())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// `socket.tcp()`.
fn tcp<'a>(cx: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    cx.park(Box::new(LuaSocket::new(State::Fresh(false))));
    Ok(Answer::Parked)
}

/// `socket.udp()`.
fn udp<'a>(cx: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    cx.park(Box::new(LuaSocket::new(State::Fresh(true))));
    Ok(Answer::Parked)
}

/// `socket.connect(host, port)` → a connected TCP socket.
fn connect_new<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let found = addresses(&Call::function("connect", args), 1)?;
    let dialled = match found {
        Ok(found) => dial(cx, &args, (None, &found), None)?,
        Err(error) => Err(error),
    };
    Ok(match dialled {
        Ok(stream) => {
            cx.park(Box::new(LuaSocket::new(State::Stream(stream))));
            Answer::Parked
        }
        Err(error) => failed(cx, &text_of(&error)),
    })
}

/// `socket.bind(host, port)` → a TCP socket that listens.
fn bind_new<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let found = addresses(&Call::function("bind", args), 1)?;
    let bound = found.and_then(|found| TcpListener::bind(&found[..]));
    let bound = bound.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    Ok(match bound {
        Ok(listener) => {
            cx.park(Box::new(LuaSocket::new(State::Listener(listener))));
            Answer::Parked
        }
        Err(error) => failed(cx, &text_of(&error)),
    })
}

/// `socket.gettime()` → seconds since the epoch, with their fraction.
fn gettime<'a>(_: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(Answer::Number(wall_clock_ns() as f64 / 1e9))
}

/// `socket.sleep(seconds)`.
fn sleep<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let seconds = Call::function("sleep", args).number(1)?;
    if seconds > 0.0 {
        waiting::sleep(cx, &args, Instant::now() + Duration::from_secs_f64(seconds.min(1e9)))?;
    }
    Ok(Answer::Nothing)
}

/// `tcp:connect(host, port)`, `udp:setpeername(host, port)` → 1.
fn connect<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("connect", args);
    let mut this = call.this::<LuaSocket>()?;
    let found = match addresses(&call, 1)? {
        Ok(found) => found,
        Err(error) => return Ok(failed(cx, &text_of(&error))),
    };
    let connected = match &this.state {
        State::Fresh(false) => dial(cx, &args, (None, &found), this.deadline())?.map(State::Stream),
        State::Bound(socket) => {
            dial(cx, &args, (Some(socket), &found), this.deadline())?.map(State::Stream)
        }
        State::Fresh(true) => {
            let any = if found.iter().any(SocketAddr::is_ipv4) { "0.0.0.0:0" } else { "[::]:0" };
            let bound = UdpSocket::bind(any);
            bound.and_then(|socket| {
                socket.set_nonblocking(true)?;
                socket.connect(&found[..])?;
                Ok(State::Datagram(socket))
            })
        }
        State::Datagram(socket) => match socket.connect(&found[..]) {
            Ok(()) => return Ok(Answer::Number(1.0)),
            Err(error) => Err(error),
        },
        State::Closed => return Ok(failed(cx, "closed")),
        State::Stream(_) | State::Listener(_) => return Ok(failed(cx, "already connected")),
    };
    Ok(match connected {
        Ok(state) => {
            this.state = state;
            Answer::Number(1.0)
        }
        Err(error) => failed(cx, &text_of(&error)),
    })
}

/// `tcp:bind(host, port)`, `udp:setsockname(host, port)` → 1.
fn bind<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("bind", args);
    let mut this = call.this::<LuaSocket>()?;
    let found = addresses(&call, 1)?;
    let State::Fresh(is_udp) = this.state else { return Ok(failed(cx, "already bound")) };
    let bound = found.and_then(|found| {
        if !is_udp {
            return sockets::bind(&found).map(State::Bound);
        }
        let socket = UdpSocket::bind(&found[..])?;
        socket.set_nonblocking(true)?;
        Ok(State::Datagram(socket))
    });
    Ok(match bound {
        Ok(state) => {
            this.state = state;
            Answer::Number(1.0)
        }
        Err(error) => failed(cx, &text_of(&error)),
    })
}

/// `tcp:listen([backlog])` → 1.
fn listen<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("listen", args);
    let backlog = call.optional_whole(1, "backlog", 0..=4096, 32)?;
    let mut this = call.this::<LuaSocket>()?;
    let listening = match std::mem::replace(&mut this.state, State::Closed) {
        State::Bound(socket) => {
            let listening = socket.listen(i32::try_from(backlog).unwrap_or(32));
            listening.map(|()| State::Listener(socket.into()))
        }
        State::Listener(listener) => Ok(State::Listener(listener)),
        other => {
            this.state = other;
            return Ok(failed(cx, "not bound"));
        }
    };
    Ok(match listening {
        Ok(state) => {
            this.state = state;
            Answer::Number(1.0)
        }
        Err(error) => failed(cx, &text_of(&error)),
    })
}

/// `tcp:accept()` → a connected socket.
fn accept<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("accept", args).this::<LuaSocket>()?;
    let State::Listener(listener) = &this.state else { return Ok(failed(cx, "not listening")) };
    let deadline = this.deadline();
    loop {
        if !waiting::readable(cx, &args, listener.as_fd(), deadline)? {
            return Ok(failed(cx, "timeout"));
        }
        let accepted = listener.accept();
        match accepted.and_then(|(stream, _)| stream.set_nonblocking(true).map(|()| stream)) {
            Ok(stream) => {
                cx.park(Box::new(LuaSocket::new(State::Stream(stream))));
                return Ok(Answer::Parked);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Ok(failed(cx, &text_of(&error))),
        }
    }
}

/// `socket:send(data[, first[, last]])` → the place of the last byte sent; else nil, why, and that place.
fn send<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("send", args);
    let mut this = call.this::<LuaSocket>()?;
    let data = call.text(1)?;
    let length = i64::try_from(data.len()).unwrap_or(i64::MAX);
    let place = |number, what, default| -> Result<usize, Complaint> {
        let at = call.optional_whole(number, what, i64::MIN..=i64::MAX, default)?;
        let at = if at < 0 { at.saturating_add(length + 1) } else { at };
        Ok(usize::try_from(at.clamp(0, length)).unwrap_or(0))
    };
    let (first, last) = (place(2, "first", 1)?.max(1), place(3, "last", -1)?);
    let deadline = this.deadline();
    let mut sent = first - 1;
    while sent < last {
        let part = &data[sent..last];
        let result = match &mut this.state {
            State::Stream(stream) => stream.write(part),
            State::Datagram(socket) => socket.send(part),
            _ => Err(ErrorKind::BrokenPipe.into()),
        };
        let why = match result {
            Ok(count) => {
                sent += count;
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let fd = this.fd().ok_or("the socket is closed")?;
                if waiting::writable(cx, &args, fd, deadline)? {
                    continue;
                }
                "timeout".to_owned()
            }
            Err(error) => text_of(&error),
        };
        cx.tape.clear();
        cx.tape.nil();
        cx.tape.text(why.as_bytes());
        cx.tape.number(sent as f64);
        return Ok(Answer::Tape(3));
    }
    Ok(Answer::Number(sent as f64))
}

/// `tcp:receive([pattern[, prefix]])`: `*l` a line, `*a` all, or so many bytes; else nil, why, and what
/// was there. `udp:receive([size])` → a datagram.
fn receive<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("receive", args);
    let is_datagram = matches!(call.this::<LuaSocket>()?.state, State::Datagram(_));
    if is_datagram {
        return datagram(cx, call, false);
    }
    let wanted = match call.value(1) {
        Value::Nil => Wanted::Line,
        Value::Text(format) => match format.strip_prefix(b"*").unwrap_or(format) {
            b"l" => Wanted::Line,
            b"a" => Wanted::All,
            _ => return Err(call.refused(1, "pattern", "*l, *a or a number expected")),
        },
        _ => {
            let count = call.whole(1, "pattern", 0..=1 << 30)?;
            Wanted::Bytes(usize::try_from(count).unwrap_or(0))
        }
    };
    let prefix = call.optional_text(2, b"")?;
    let mut this = call.this::<LuaSocket>()?;
    let Some(why) = read_until(cx, &args, &mut this, &wanted, prefix)? else {
        return Ok(Answer::Text(&cx.scratch));
    };
    let rest = std::mem::take(&mut this.ahead);
    let tape = &mut cx.tape;
    tape.clear();
    if matches!(wanted, Wanted::All) && why == "closed" && !rest.is_empty() {
        tape.text(&[prefix, &rest].concat());
        return Ok(Answer::Tape(1));
    }
    tape.nil();
    tape.text(why.as_bytes());
    tape.text(&[prefix, &rest].concat());
    Ok(Answer::Tape(3))
}

/// `udp:receivefrom([size])` → a datagram, and the address and port it comes from.
fn receivefrom<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    datagram(cx, Call::method("receivefrom", args), true)
}

fn datagram<'a>(
    cx: &'a mut Context,
    call: Call<'a>,
    with_source: bool,
) -> Result<Answer<'a>, Complaint> {
    let most = i64::try_from(MAX_DATAGRAM).unwrap_or(0);
    let size = call.optional_whole(1, "size", 1..=most, most)?;
    let this = call.this::<LuaSocket>()?;
    let State::Datagram(socket) = &this.state else { return Ok(failed(cx, "closed")) };
    let deadline = this.deadline();
    call.admit(Some(MAX_DATAGRAM))?;
    let mut buffer = vec![0; usize::try_from(size).unwrap_or(1)];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((count, source)) => {
                let tape = &mut cx.tape;
                tape.clear();
                tape.text(&buffer[..count]);
                if with_source {
                    tape.text(source.ip().to_string().as_bytes());
                    tape.number(f64::from(source.port()));
                }
                return Ok(Answer::Tape(if with_source { 3 } else { 1 }));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if !waiting::readable(cx, &call.args, socket.as_fd(), deadline)? {
                    return Ok(failed(cx, "timeout"));
                }
            }
            Err(error) => return Ok(failed(cx, &text_of(&error))),
        }
    }
}

/// `udp:sendto(data, host, port)` → 1.
fn sendto<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("sendto", args);
    let mut this = call.this::<LuaSocket>()?;
    let data = call.text(1)?;
    let found = addresses(&call, 2)?;
    let sent = found.and_then(|found| {
        let address = found.first().ok_or(ErrorKind::NotFound)?;
        if matches!(this.state, State::Fresh(true)) {
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any)?;
            socket.set_nonblocking(true)?;
            this.state = State::Datagram(socket);
        }
        match &this.state {
            State::Datagram(socket) => socket.send_to(data, address),
            _ => Err(ErrorKind::BrokenPipe.into()),
        }
    });
    Ok(match sent {
        Ok(_) => Answer::Number(1.0),
        Err(error) => failed(cx, &text_of(&error)),
    })
}

/// `socket:settimeout(seconds)`: nil or below zero waits as long as it takes.
fn settimeout<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("settimeout", args);
    let seconds = call.optional_number(1, -1.0)?;
    let timeout = (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(1e9)));
    call.this::<LuaSocket>()?.timeout = timeout;
    Ok(Answer::Number(1.0))
}

/// `socket:setoption(name, value)` → 1.
fn setoption<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("setoption", args);
    let this = call.this::<LuaSocket>()?;
    let name = call.text(1)?;
    let is_on = args.truth(call.slot(2));
    let Some(fd) = this.fd() else {
        // Of a fresh socket there is nothing to set yet: reuseaddr is what it will have anyway.
        return Ok(Answer::Number(1.0));
    };
    let socket = SockRef::from(&fd);
    let result = match name {
        b"keepalive" => socket.set_keepalive(is_on),
        b"tcp-nodelay" => socket.set_tcp_nodelay(is_on),
        b"reuseaddr" => socket.set_reuse_address(is_on),
        b"broadcast" => socket.set_broadcast(is_on),
        _ => return Ok(failed(cx, "unsupported option")),
    };
    Ok(match result {
        Ok(()) => Answer::Number(1.0),
        Err(error) => failed(cx, &text_of(&error)),
    })
}

/// `tcp:shutdown([mode])` → 1; `send`, `receive` or `both`.
fn shutdown<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("shutdown", args);
    let this = call.this::<LuaSocket>()?;
    let how = match call.value(1) {
        Value::Text(b"send") => Shutdown::Write,
        Value::Text(b"receive") => Shutdown::Read,
        _ => Shutdown::Both,
    };
    Ok(match &this.state {
        State::Stream(stream) if stream.shutdown(how).is_ok() => Answer::Number(1.0),
        _ => failed(cx, "closed"),
    })
}

/// `socket:close()`.
fn close<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Call::method("close", args).this::<LuaSocket>()?.state = State::Closed;
    Ok(Answer::Number(1.0))
}
