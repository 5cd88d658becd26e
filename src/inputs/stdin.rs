//! Standard input.

use std::io::Read;

use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;

/// How much is read at a time, in bytes.
const CHUNK: usize = 64 * 1024;
/// How many chunks are read ahead.
const AHEAD: usize = 2;

/// Reads standard input to its end. Messages have the type `stdin`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StdinInput {}

impl Described for StdinInput {
    const NAME: &'static str = "StdinInput";
    const ABOUT: &'static str = "Reads standard input to its end.";
    const EXAMPLE: &'static str = "[StdinInput]\nsplitter = \"TokenSplitter\"\n";
    const DEFAULTS: Defaults = Defaults { splitter: Some("TokenSplitter"), ..Defaults::NONE };
}

#[async_trait]
impl Input for StdinInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let input = std::io::stdin();
        deliver(cx, move || Ok(input.lock())).await
    }

    fn ends(&self) -> bool {
        true
    }
}

/// Delivers all that `open` gives. Reading has a thread of its own: it cannot be called off, and
/// nothing waits for its end.
async fn deliver<R: Read>(
    cx: InputContext,
    open: impl FnOnce() -> std::io::Result<R> + Send + 'static,
) -> anyhow::Result<()> {
    let mut stream = cx.stream(cx.origin("stdin"), None).await?;
    let (tx, mut rx) = mpsc::channel(AHEAD);
    std::thread::Builder::new().name(cx.name.to_string()).spawn(move || match open() {
        Ok(input) => read(input, &tx),
        Err(error) => drop(tx.blocking_send(Err(error))),
    })?;
    loop {
        let chunk = tokio::select! {
            () = cx.stopping.cancelled() => return Ok(()),
            chunk = rx.recv() => chunk,
        };
        match chunk {
            Some(chunk) => stream.bytes(chunk?).await?,
            None => break,
        }
    }
    stream.end(true).await?;
    stream.durable().await
}

/// Reads until the end, or until nobody listens any more.
fn read(mut input: impl Read, chunks: &mpsc::Sender<std::io::Result<Bytes>>) {
    loop {
        let mut buffer = vec![0; CHUNK];
        let chunk = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => {
                buffer.truncate(read);
                Ok(Bytes::from(buffer))
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = chunk.is_err();
        if chunks.blocking_send(chunk).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::testing::Desk;

    #[tokio::test]
    async fn every_line_is_delivered_the_unterminated_last_one_too() {
        let desk = Desk::new("stdin");
        deliver(desk.context(), || Ok(&b"one\ntwo\nthree"[..])).await.unwrap();
        assert_eq!(desk.lines("stdin"), ["one", "two", "three"]);
    }

    #[tokio::test]
    async fn stop_does_not_wait_for_more() {
        let desk = Desk::new("stdin");
        let (reader, _writer) = std::io::pipe().unwrap();
        desk.stopping.cancel();
        deliver(desk.context(), || Ok(reader)).await.unwrap();
        assert!(desk.lines("stdin").is_empty());
    }
}
