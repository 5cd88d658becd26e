//! Standard output, for people and pipes.

use std::fs::File;
use std::io::ErrorKind;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;

/// Writes records to standard output.
///
/// Several of them share it: what is written at once stays together. A reader who has gone ends
/// the output; one who is slow makes it alone wait.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogOutput {
    #[serde(skip)]
    file: Option<File>,
}

impl Described for LogOutput {
    const NAME: &'static str = "LogOutput";
    const ABOUT: &'static str = "Writes records to standard output.";
    const EXAMPLE: &'static str =
        "[LogOutput]\nmessage_matcher = \"TRUE\"\nencoder = \"RstEncoder\"\n";
}

#[async_trait]
impl Output for LogOutput {
    async fn open(&mut self, _cx: &OutputContext) -> Result<(), Failure> {
        if self.file.is_none() {
            // A descriptor of its own, for Rust's holds lines back.
            let opened = std::io::stdout().as_fd().try_clone_to_owned();
            let owned = opened.context("cannot open standard output").map_err(Failure::Stop)?;
            self.file = Some(File::from(owned));
        }
        Ok(())
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        let file = self.file.as_ref().map(File::try_clone).transpose();
        let file = file.context("cannot open standard output").map_err(Failure::Retry)?;
        let Some(mut file) = file else {
            return Err(Failure::Retry(anyhow::anyhow!("standard output is not open")));
        };
        let records = load.records().len();
        let start = load.encoded.bytes.len() - load.rest().len();
        let encoded = std::mem::take(&mut load.encoded);
        let writing = tokio::task::spawn_blocking(move || {
            let _shared = std::io::stdout().lock();
            let (written, result) = write_all(&mut file, &encoded.bytes[start..]);
            (encoded, written, result)
        });
        let done = writing.await.context("the writing thread has died");
        let (encoded, written, result) = done.map_err(Failure::Stop)?;
        load.encoded = encoded;
        let Err(error) = result else {
            load.advance(records);
            return Ok(Sent::Done);
        };
        // What is out already does not come again.
        let end = start + written;
        let whole = load.encoded.ends.partition_point(|at| *at as usize <= end);
        load.advance(whole - load.first());
        let is_gone = error.kind() == ErrorKind::BrokenPipe;
        let error = anyhow::Error::new(error).context("cannot write to standard output");
        Err(if is_gone { Failure::Stop(error) } else { Failure::Retry(error) })
    }
}

/// Writes all, also where someone has made the descriptor one that does not wait. Says how much
/// was written in any case.
fn write_all(file: &mut File, bytes: &[u8]) -> (usize, std::io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Encoded;

    #[tokio::test]
    async fn a_reader_who_has_gone_ends_the_output() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut output = LogOutput { file: Some(File::from(std::os::fd::OwnedFd::from(writer))) };
        let mut encoded = Encoded::default();
        encoded.bytes.extend_from_slice(b"line\n");
        encoded.close_record();
        let mut load = Load::new(encoded, 1);
        assert!(matches!(output.send(&mut load).await, Err(Failure::Stop(_))));
        assert_eq!(load.rest(), b"line\n");
    }
}
