//! Asks a running engine over its control socket.

use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Context;

use crate::admin::SOCKET;
use crate::pipeline::Reply;
use crate::pipeline::Request;

/// The longest answer, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// Sends a request to the engine whose state is in `folder` and waits for the answer.
pub(super) fn ask(folder: &Path, request: &Request) -> anyhow::Result<Reply> {
    let path = folder.join(SOCKET);
    let shown = path.display();
    let mut socket = UnixStream::connect(&path).with_context(|| {
        format!("no engine answers at {shown}; --base-dir says where another has its state")
    })?;
    let body = serde_json::to_vec(request)?;
    let head = format!(
        "POST /sandbox HTTP/1.1\r\nHost: heka\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut answer = Vec::new();
    let talked = socket
        .write_all(head.as_bytes())
        .and_then(|()| socket.write_all(&body))
        .and_then(|()| socket.take(MAX_ANSWER).read_to_end(&mut answer));
    talked.with_context(|| format!("the engine at {shown} went away"))?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.context("the engine gave no answer")? + 4);
    let head = String::from_utf8_lossy(head);
    let status = head.split(' ').nth(1).unwrap_or_default();
    anyhow::ensure!(
        status == "200",
        "the engine refused ({status}): {}",
        String::from_utf8_lossy(body).trim_end()
    );
    serde_json::from_slice(body).context("the engine answers in a form that is not known")
}
