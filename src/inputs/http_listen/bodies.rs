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

/// How many bytes all bodies may take together, unless a single one may take more.
const BUDGET: u32 = 64 << 20;
/// How long a request waits for room, and how long its body may take.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(1));

/// Reads bodies, also such as are compressed with gzip.
pub(in crate::inputs) struct Bodies {
    max_body: u32,
    room: Arc<Semaphore>,
}

impl Bodies {
    /// Bodies of at most so many bytes, as sent and unpacked.
    pub(in crate::inputs) fn new(max_body_bytes: u64) -> Bodies {
        let max_body = u32::try_from(max_body_bytes).unwrap_or(u32::MAX / 4);
        // A compressed body is held packed and unpacked.
        let room = Arc::new(Semaphore::new(BUDGET.max(max_body.saturating_mul(2)) as usize));
        Bodies { max_body, room }
    }

    /// Reads a body, and holds room for it.
    ///
    /// # Errors
    /// When it is too large, comes too slowly, or finds no room.
    pub(in crate::inputs) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
        let is_packed = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"" | b"identity") => false,
            Some(b"gzip" | b"x-gzip") => true,
            Some(_) => return Err(Refusal::Encoding),
        };
        let length = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let length = match length.map(u32::try_from) {
            None => self.max_body,
            Some(Ok(length)) if length <= self.max_body => length,
            Some(_) => return Err(Refusal::TooLarge),
        };
        let wanted = if is_packed { length.saturating_add(self.max_body) } else { length };
        let room = Arc::clone(&self.room).acquire_many_owned(wanted);
        let Ok(Ok(room)) = tokio::time::timeout(PATIENCE.0, room).await else {
            return Err(Refusal::Unavailable);
        };
        let limit = self.max_body as usize;
        let whole = axum::body::to_bytes(body, limit);
        let bytes = match tokio::time::timeout(PATIENCE.1, whole).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(_)) => return Err(Refusal::TooLarge),
            Err(_) => return Err(Refusal::TooSlow),
        };
        if !is_packed {
            return Ok((bytes, room));
        }
        let unpacked = tokio::task::spawn_blocking(move || unpack(&bytes, limit));
        match unpacked.await {
            Ok(unpacked) => Ok((unpacked?, room)),
            Err(_) => Err(Refusal::Unavailable),
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
