//! Connections that inputs take and read, each in a task of its own.

use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

use crate::net;
use crate::net::Listener;
use crate::plugin::InputContext;
use crate::plugin::Stream;

/// The least and the most room a connection gets for one read, in bytes.
const ROOM: std::ops::RangeInclusive<usize> = 4 * 1024..=128 * 1024;
/// How long connections may take to hand over what they have read when the input stops.
const GRACE: Duration = Duration::from_secs(2);

/// Takes connections until the input stops, and has each received by `receive`.
pub(super) async fn serve<F, R>(
    listener: Listener,
    cx: InputContext,
    receive: F,
) -> anyhow::Result<()>
where
    F: Fn(net::Stream, InputContext) -> R + Clone + Send + 'static,
    R: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = cx.stopping.cancelled() => break,
            // Ended ones are let go of as they end.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted?,
        };
        let (cx, receive) = (cx.clone(), receive.clone());
        connections.spawn(async move {
            let peer = accepted.peer();
            let shaken = tokio::select! {
                () = cx.stopping.cancelled() => return,
                shaken = accepted.shake_hands() => shaken,
            };
            let name = cx.name.clone();
            let ended = match shaken {
                Ok((stream, place)) => tokio::select! {
                    ended = receive(stream, cx) => ended,
                    () = place.is_wanted() => Ok(()),
                },
                Err(error) => Err(error.into()),
            };
            if let Err(error) = ended {
                tracing::warn!(input = &*name, %peer, error = format!("{error:#}"), "connection failed");
            }
        });
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, all_ended).await;
    Ok(())
}

/// A connection that is read.
pub(super) struct Reading {
    connection: net::Stream,
    room: usize,
}

impl Reading {
    pub(super) fn of(connection: net::Stream) -> Reading {
        Reading { connection, room: *ROOM.start() }
    }

    /// What comes next; nothing at the end of the connection and when the input stops.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) async fn next(&mut self, cx: &InputContext) -> std::io::Result<Bytes> {
        let mut buffer = BytesMut::with_capacity(self.room);
        let read = tokio::select! {
            () = cx.stopping.cancelled() => 0,
            read = self.connection.read_buf(&mut buffer) => read?,
        };
        self.room = next_room(self.room, read);
        Ok(buffer.freeze())
    }

    /// Hands over everything that comes.
    ///
    /// # Errors
    /// When the connection breaks or the engine stops.
    pub(super) async fn hand_to(
        mut self,
        mut stream: Stream,
        cx: &InputContext,
    ) -> anyhow::Result<()> {
        loop {
            match self.next(cx).await {
                Ok(bytes) if bytes.is_empty() => return stream.end(false).await,
                Ok(bytes) => stream.bytes(bytes).await?,
                Err(error) => {
                    stream.end(false).await?;
                    return Err(error.into());
                }
            }
        }
    }
}

/// Twice the room after a read that filled it, half after one that did not fill a quarter: a quiet
/// connection holds little.
fn next_room(room: usize, read: usize) -> usize {
    if read >= room {
        (room * 2).min(*ROOM.end())
    } else if read < room / 4 {
        (room / 2).max(*ROOM.start())
    } else {
        room
    }
}
