//! Bodies of requests, held to a budget.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::body::BodyDataStream;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::refusal::Refusal;
use crate::plugin::Claim;
use crate::plugin::Memory;

/// How many bytes all bodies may take together, unless a single one may take more.
const BUDGET: u32 = 64 << 20;
/// How long a request waits for room.
const PATIENCE: Duration = Duration::from_secs(10);
/// So much of a body comes before there is room for all of it: who begins and does not go on holds
/// nothing that others wait for.
const BEGINNING: usize = 16 << 10;
/// How long the beginning of a body may take, and all of it, be it as large as it may.
const LONGEST: Duration = Duration::from_mins(1);
/// How much later than at an even pace any part of a body may come.
const DELAY: Duration = Duration::from_secs(5);
/// The pace of a body that does not say how long it is, in bytes a second.
const PACE: f64 = 64.0 * 1024.0;

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
        let most = match length.map(u32::try_from) {
            None => self.max_body,
            Some(Ok(length)) if length <= self.max_body => length,
            Some(_) => return Err(Refusal::TooLarge),
        };
        let claim = tokio::time::timeout(PATIENCE, self.memory.claim(0)).await;
        let claim = claim.map_err(|_| Refusal::Unavailable)?.map_err(|_| Refusal::Unavailable)?;
        let mut coming =
            Coming { body: body.into_data_stream(), bytes: Vec::new(), most: most as usize, claim };
        let at_once = |_| LONGEST;
        let is_whole = coming.read(BEGINNING, at_once).await?;
        let wanted = if is_whole { coming.length() } else { most };
        let wanted = if is_packed { wanted.saturating_add(self.max_body) } else { wanted };
        // What is here already and small does not stand in line behind the large.
        let shared = if is_whole && !is_packed { 0 } else { wanted };
        let room = tokio::time::timeout(PATIENCE, self.room(shared, wanted)).await;
        let room = room.map_err(|_| Refusal::Unavailable)??;
        coming.claim.resize(0);
        if !is_whole {
            let even = f64::from(most) / LONGEST.as_secs_f64();
            let pace = if length.is_some() { even } else { even.min(PACE) };
            let had = coming.bytes.len();
            coming.bytes.reserve_exact(length.map_or(0, |_| coming.most - had));
            let in_time =
                |bytes: usize| DELAY + Duration::from_secs_f64((bytes - had) as f64 / pace);
            coming.read(usize::MAX, in_time).await?;
        }
        Ok((coming.bytes.into(), room))
    }

    async fn unpack(&self, bytes: Bytes) -> Result<Bytes, Refusal> {
        let limit = self.max_body as usize;
        let unpacked = tokio::task::spawn_blocking(move || unpack(&bytes, limit));
        unpacked.await.unwrap_or(Err(Refusal::Unavailable))
    }
}

/// A body that comes.
struct Coming {
    body: BodyDataStream,
    bytes: Vec<u8>,
    /// The most bytes that it may have.
    most: usize,
    /// What has come, as long as there is no room for all of it.
    claim: Claim,
}

impl Coming {
    /// Reads until there are more than so many bytes, or to the end: tells whether that was it.
    /// `due` says how long after the beginning of this call more has to have come than so many bytes.
    ///
    /// # Errors
    /// When it is too large, or comes too slowly.
    async fn read(
        &mut self,
        until: usize,
        due: impl Fn(usize) -> Duration,
    ) -> Result<bool, Refusal> {
        let begun = Instant::now();
        while self.bytes.len() <= until {
            let due = begun + due(self.bytes.len());
            let part = match tokio::time::timeout_at(due, self.body.next()).await {
                Ok(Some(Ok(part))) => part,
                Ok(None) => return Ok(true),
                Ok(Some(Err(_))) => return Err(Refusal::Body("the body is cut off".to_owned())),
                Err(_) => return Err(Refusal::TooSlow),
            };
            if part.len() > self.most.saturating_sub(self.bytes.len()) {
                return Err(Refusal::TooLarge);
            }
            self.bytes.extend_from_slice(&part);
            if until != usize::MAX {
                self.claim.resize(self.bytes.len());
            }
        }
        Ok(false)
    }

    fn length(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
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
    /// So much of what all bodies share, and of the memory.
    async fn room(&self, shared: u32, wanted: u32) -> Result<Room, Refusal> {
        let room = Arc::clone(&self.room).acquire_many_owned(shared).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    /// A body of `parts` parts of so many bytes, one every so often.
    fn body(parts: usize, bytes: usize, every: Duration) -> Body {
        let part = move |number: usize| async move {
            if number == parts {
                return None;
            }
            tokio::time::sleep(every).await;
            Some((Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; bytes])), number + 1))
        };
        Body::from_stream(futures_util::stream::unfold(0, part))
    }

    /// What becomes of a body, and after how long.
    async fn check(bodies: &Bodies, length: Option<usize>, body: Body) -> (String, u64) {
        let mut headers = HeaderMap::new();
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        let begun = Instant::now();
        let told = match bodies.read(&headers, body).await {
            Ok((bytes, _)) => bytes.len().to_string(),
            Err(refusal) => format!("{refusal:?}"),
        };
        (told, begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_are_given_up() {
        let bodies = Bodies::new(MAX as u64, &Arc::default());
        let second = Duration::from_secs(1);
        let slow = ("TooSlow".to_owned(), 60);
        assert_eq!(check(&bodies, None, body(1000, 1, second)).await, slow);
        assert_eq!(check(&bodies, Some(1000), body(1000, 1, second)).await, slow);
        // Small and in time.
        assert_eq!(check(&bodies, Some(50), body(50, 1, second)).await, ("50".to_owned(), 50));
        // Large, and at the pace at which it is there within a minute.
        let told = check(&bodies, Some(MAX), body(64, MAX / 64, second * 9 / 10)).await;
        assert_eq!(told, (MAX.to_string(), 57));
        assert_eq!(check(&bodies, None, body(10, 100_000, second)).await.0, "1000000");
        // Large, and slower than that as soon as it has its room.
        let (told, after) = check(&bodies, Some(MAX), body(64, MAX / 64, second * 3)).await;
        assert_eq!(told, "TooSlow");
        assert!((7..20).contains(&after), "{after}");
        let (told, after) = check(&bodies, None, body(1000, 20_000, second * 2)).await;
        assert_eq!(told, "TooSlow");
        assert!((5..20).contains(&after), "{after}");
        let too_much = body(3, MAX / 2, Duration::ZERO);
        assert_eq!(check(&bodies, None, too_much).await.0, "TooLarge");
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_begin_hold_no_room() {
        let bodies = Bodies::new(u64::from(BUDGET), &Arc::default());
        let all = bodies.room.available_permits();
        let hour = Duration::from_hours(1);
        let still = check(&bodies, Some(MAX), body(2, 1000, hour));
        tokio::pin!(still);
        let waited = tokio::time::timeout(Duration::from_secs(50), still.as_mut()).await;
        assert!(waited.is_err());
        assert_eq!(bodies.room.available_permits(), all);
        assert_eq!(still.await.0, "TooSlow");
    }
}
