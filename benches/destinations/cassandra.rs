//! A proxy before a node of Cassandra: it hands on what asks, and answers what writes by itself.

use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::peers::Peer;
use crate::peers::listen;

/// The head of a frame, versions 3 and 4: version, flags, stream (two bytes), operation, length (four).
const HEAD: usize = 9;
const EXECUTE: u8 = 0x0a;
const BATCH: u8 = 0x0d;
/// The longest frame there may be, in bytes.
const LONGEST: usize = 256 << 20;

/// Before the node at that address, where there is one.
pub(crate) fn proxy(server: Option<&str>) -> anyhow::Result<Option<Peer>> {
    let Some(node) = server.filter(|_| cfg!(feature = "cassandra")) else { return Ok(None) };
    let node = node.to_owned();
    let address = listen(move |client| between(client, TcpStream::connect(&node)?))?;
    Ok(Some(Peer::at(address, None)))
}

fn between(mut client: TcpStream, node: TcpStream) -> anyhow::Result<()> {
    client.set_nodelay(true)?;
    let back = Arc::new(Mutex::new(client.try_clone()?));
    let (mut answers, answered) = (node.try_clone()?, Arc::clone(&back));
    std::thread::spawn(move || {
        // Whole frames, so that none is torn by an answer of the proxy.
        while let Ok(frame) = read(&mut answers) {
            let mut to = answered.lock().unwrap_or_else(PoisonError::into_inner);
            if to.write_all(&frame).is_err() {
                break;
            }
        }
        let _ = answered.lock().unwrap_or_else(PoisonError::into_inner).shutdown(Shutdown::Both);
    });
    let mut node = node;
    loop {
        let frame = read(&mut client)?;
        if matches!(frame[4], EXECUTE | BATCH) {
            // A result without rows, for the same stream.
            let done = [0x80 | frame[0], 0, frame[2], frame[3], 8, 0, 0, 0, 4, 0, 0, 0, 1];
            back.lock().unwrap_or_else(PoisonError::into_inner).write_all(&done)?;
        } else {
            node.write_all(&frame)?;
        }
    }
}

fn read(from: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut frame = vec![0; HEAD];
    from.read_exact(&mut frame)?;
    let length = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
    let length = usize::try_from(length)?;
    anyhow::ensure!(length < LONGEST, "a frame of {length} bytes");
    frame.resize(HEAD + length, 0);
    from.read_exact(&mut frame[HEAD..])?;
    Ok(frame)
}
