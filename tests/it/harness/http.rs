//! Requests over a socket, as plain as can be.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Context;

/// The status and the body of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The number of the status.
    pub(crate) status: u16,
    /// The body, as text.
    pub(crate) body: String,
}

/// Asks over TCP; `request` is `GET /path`, and `headers` lines with `\r\n` at their ends.
pub(crate) fn ask(address: SocketAddr, request: &str, headers: &str) -> anyhow::Result<Answer> {
    talk(TcpStream::connect(address)?, request, headers)
}

/// Asks over a Unix socket.
pub(crate) fn ask_socket(path: &Path, request: &str) -> anyhow::Result<Answer> {
    talk(UnixStream::connect(path)?, request, "")
}

fn talk(mut connection: impl Read + Write, request: &str, headers: &str) -> anyhow::Result<Answer> {
    let end = "Host: heka\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    write!(connection, "{request} HTTP/1.1\r\n{headers}{end}")?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of head")?;
    let status = head.split(' ').nth(1).context("the answer has no status")?.parse()?;
    Ok(Answer { status, body: body.to_owned() })
}
