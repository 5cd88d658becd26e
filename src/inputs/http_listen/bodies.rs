//! Bodies of requests, held to a budget.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use super::refusal::Refusal;
use crate::plugin::Claim;
use crate::plugin::Memory;

/// How many bytes all bodies may take together, unless a single one may take more.
const BUDGET: u32 = 64 << 20;
/// How long a request waits for room, and how long its body may take.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(1));

/// Reads bodies, also such as are compressed with gzip.
pub(in crate::inputs) struct Bodies {
    max_body: u32,
    room: Arc<Semaphore>,
    memory: Arc<Memory>,
}

/// What a body takes of the room of its input and of the memory.
pub(in crate::inputs) struct Room {
    _room: OwnedSemaphorePermit,
    _claim: Claim,
}

impl Bodies {
    /// Bodies of at most so many bytes, as sent and unpacked.
    pub(in crate::inputs) fn new(max_body_bytes: u64, memory: &Arc<Memory>) -> Bodies {
        let max_body = u32::try_from(max_body_bytes).unwrap_or(u32::MAX / 4);
        // A compressed body is held packed and unpacked.
        let room = Arc::new(Semaphore::new(BUDGET.max(max_body.saturating_mul(2)) as usize));
        Bodies { max_body, room, memory: memory.clone() }
    }

    /// The largest body, in bytes, as sent and unpacked.
    pub(in crate::inputs) fn max_body(&self) -> u64 {
        u64::from(self.max_body)
    }

    /// Reads a body, and holds room for it.
    ///
    /// # Errors
    /// When it is too large, comes too slowly, or finds no room.
    pub(in crate::inputs) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Bytes, Room), Refusal> {
        let is_packed = is_packed(headers.get(header::CONTENT_ENCODING))?;
        let (bytes, room) = self.take(headers, body, is_packed).await?;
        let bytes = if is_packed { self.unpack(bytes).await? } else { bytes };
        Ok((bytes, room))
    }

    /// Reads the one message in the body of a request of gRPC, and holds room for it.
    ///
    /// | bytes | what |
    /// | --- | --- |
    /// | 1 | 1 where the message is packed, as the header `grpc-encoding` says |
    /// | 4 | its length |
    /// | … | the message |
    ///
    /// # Errors
    /// As [`Bodies::read`].
    pub(in crate::inputs) async fn read_message(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Bytes, Room), Refusal> {
        let may_be_packed = is_packed(headers.get("grpc-encoding"))?;
        let (mut bytes, room) = self.take(headers, body, may_be_packed).await?;
        let broken = || Refusal::Body("the body is no message of grpc".to_owned());
        let (&[flag, a, b, c, d], _) = bytes.split_first_chunk::<5>().ok_or_else(broken)?;
        let message = bytes.split_off(5);
        if message.len() as u64 != u64::from(u32::from_be_bytes([a, b, c, d])) {
            return Err(broken());
        }
        match flag {
            0 => Ok((message, room)),
            1 if may_be_packed => Ok((self.unpack(message).await?, room)),
            _ => Err(broken()),
        }
    }

    /// Takes a body as it is sent, and room for it, packed and unpacked where it is packed.
    async fn take(
        &self,
        headers: &HeaderMap,
        body: Body,
        is_packed: bool,
    ) -> Result<(Bytes, Room), Refusal> {
        let length = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let length = match length.map(u32::try_from) {
            None => self.max_body,
            Some(Ok(length)) if length <= self.max_body => length,
            Some(_) => return Err(Refusal::TooLarge),
        };
        let wanted = if is_packed { length.saturating_add(self.max_body) } else { length };
        let room = tokio::time::timeout(PATIENCE.0, self.room(wanted)).await;
        let room = room.map_err(|_| Refusal::Unavailable)??;
        let whole = axum::body::to_bytes(body, self.max_body as usize);
        match tokio::time::timeout(PATIENCE.1, whole).await {
            Ok(Ok(bytes)) => Ok((bytes, room)),
            Ok(Err(_)) => Err(Refusal::TooLarge),
            Err(_) => Err(Refusal::TooSlow),
        }
    }

    async fn unpack(&self, bytes: Bytes) -> Result<Bytes, Refusal> {
        let limit = self.max_body as usize;
        let unpacked = tokio::task::spawn_blocking(move || unpack(&bytes, limit));
        unpacked.await.unwrap_or(Err(Refusal::Unavailable))
    }
}

/// Tells whether the value of a header says that something is packed with gzip.
fn is_packed(encoding: Option<&HeaderValue>) -> Result<bool, Refusal> {
    match encoding.map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(_) => Err(Refusal::Encoding),
    }
}

impl Bodies {
    async fn room(&self, wanted: u32) -> Result<Room, Refusal> {
        let room = Arc::clone(&self.room).acquire_many_owned(wanted).await;
        let claim = self.memory.claim(wanted as usize).await;
        match (room, claim) {
            (Ok(room), Ok(claim)) => Ok(Room { _room: room, _claim: claim }),
            _ => Err(Refusal::Unavailable),
        }
    }
}

fn unpack(bytes: &[u8], limit: usize) -> Result<Bytes, Refusal> {
    let mut unpacked = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(bytes).take(limit as u64 + 1);
    if let Err(error) = decoder.read_to_end(&mut unpacked) {
        return Err(Refusal::Body(format!("the body is not gzip: {error}")));
    }
    if unpacked.len() > limit {
        return Err(Refusal::TooLarge);
    }
    Ok(unpacked.into())
}
