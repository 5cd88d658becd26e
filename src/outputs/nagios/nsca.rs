//! The protocol of NSCA 2.9 and later, as `send_nsca` speaks it.
//!
//! The server sends 132 bytes: 128 that everything is encrypted with, and its time. A check is a packet
//! of 4304 bytes, numbers in network order, what is not used at random:
//!
//! | bytes | what |
//! | --- | --- |
//! | 2 | version, 3 |
//! | 2 | nothing |
//! | 4 | CRC-32 of the packet with this being 0 |
//! | 4 | the time the server has sent |
//! | 2 | state |
//! | 64 | host, ended by a 0 |
//! | 128 | service |
//! | 4096 | text |
//! | 2 | nothing |
//!
//! There is no answer. Once the server has closed, it has read everything; whether it believed it
//! (password, method, host) stands in its log only.

use std::time::Duration;

use anyhow::Context;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use super::Check;
use super::Settings;
use super::cipher::Cipher;
use crate::net::Connector;
use crate::net::Stream;
use crate::plugin::Failure;
use crate::stdx::random::Random;

const HEAD: usize = 132;
const PACKET: usize = 4304;

pub(super) async fn send(
    connector: &Connector,
    settings: &Settings,
    checks: &[Check],
) -> Result<(), Failure> {
    let place = connector.address().to_string();
    let talk = async {
        let mut stream = connector.connect().await?;
        talk(&mut stream, settings, checks).await.with_context(|| {
            format!("nsca at {place} broke off (is this machine among its allowed hosts?)")
        })
    };
    let limit = settings.send_nsca_timeout.max(Duration::from_millis(1));
    match tokio::time::timeout(limit, talk).await {
        Ok(result) => result.map_err(Failure::Retry),
        Err(_) => Err(Failure::Retry(anyhow::anyhow!("nsca at {place} took more than {limit:?}"))),
    }
}

async fn talk(stream: &mut Stream, settings: &Settings, checks: &[Check]) -> anyhow::Result<()> {
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await.context("no greeting")?;
    let password = settings.nsca_password.as_ref().map_or("", |secret| secret.reveal());
    let greeting: [u8; 128] = head[..128].try_into().context("the greeting is too short")?;
    let mut cipher = Cipher::new(settings.nsca_encryption, greeting, password);
    for check in checks {
        let mut packet = packet(check, &head);
        cipher.encrypt(&mut packet);
        stream.write_all(&packet).await?;
    }
    stream.shutdown().await?;
    // It closes when it has read all.
    while stream.read(&mut head).await? > 0 {}
    Ok(())
}

/// A check for a server that has greeted with `head`.
fn packet(check: &Check, head: &[u8; HEAD]) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut random = Random::seeded(now.map_or(0, |now| now.subsec_nanos().into()));
    for bytes in packet.chunks_mut(8) {
        bytes.copy_from_slice(&random.next().to_le_bytes()[..bytes.len()]);
    }
    packet[0..2].copy_from_slice(&3_i16.to_be_bytes());
    packet[4..8].fill(0);
    packet[8..12].copy_from_slice(&head[128..132]);
    packet[12..14].copy_from_slice(&i16::from(check.state).to_be_bytes());
    put(&mut packet[14..78], &check.host);
    put(&mut packet[78..206], &check.service);
    put(&mut packet[206..4302], &check.text);
    let sum = crc32fast::hash(&packet);
    packet[4..8].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// Puts text into its place, with a 0 behind it; the rest stays.
fn put(place: &mut [u8], text: &str) {
    let mut text = text.to_owned();
    super::check::cut(&mut text, place.len() - 1);
    place[..text.len()].copy_from_slice(text.as_bytes());
    place[text.len()] = 0;
}
