//! Nagios and what understands it: passive checks, by four ways.
//!
//! | setting | way | is told of a failure |
//! | --- | --- | --- |
//! | `command_file` | the pipe of a Nagios on this machine | that nobody reads it |
//! | `url` | `cmd.cgi` of its web pages | all |
//! | `nsca_address` | the protocol of `send_nsca` | that the connection broke: NSCA answers nothing |
//! | `nrdp_url` | NRDP | all |
//! | `send_nsca_bin` | a program that reads lines as `send_nsca` does | how it ended |

mod check;
mod cipher;
mod nsca;
mod program;
mod settings;
#[cfg(test)]
mod tests;
mod web;

use std::borrow::Cow;
use std::io::ErrorKind;
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use self::check::Check;
use self::settings::Settings;
use self::settings::Way;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;

/// What a pipe takes whole, in bytes.
const PIPE: usize = 4096;

/// Reports the results of checks to Nagios.
///
/// The record is the result: `OK`, `WARNING`, `CRITICAL` or `UNKNOWN`, a colon, and what is shown;
/// without one of these words the state is `UNKNOWN`. Without a service it is a check of the host: 'UP',
/// `DOWN` and `UNREACHABLE` are its words besides.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct NagiosOutput {
    settings: Settings,
    way: Way,
    form: Option<web::Form>,
}

impl TryFrom<Settings> for NagiosOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<NagiosOutput> {
        let way = settings.way()?;
        Ok(NagiosOutput { settings, way, form: None })
    }
}

impl JsonSchema for NagiosOutput {
    fn schema_name() -> Cow<'static, str> {
        "NagiosOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for NagiosOutput {
    const NAME: &'static str = "NagiosOutput";
    const ABOUT: &'static str = "Reports the results of passive checks to Nagios.";
    const EXAMPLE: &'static str = "[NagiosOutput]\n\
        message_matcher = \"Fields[payload_type] == 'nagios-external-command'\"\n\
        nsca_address = \"nagios.example.com:5667\"\nnsca_password = \"secret\"\n\
        nagios_service_description = \"%{Logger}\"\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("PayloadEncoder"), ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        match &self.way {
            Way::Cgi(_) | Way::Nrdp(_) => self.settings.sender().map(drop),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Output for NagiosOutput {
    async fn open(&mut self, _cx: &OutputContext) -> Result<(), Failure> {
        if let Way::Cgi(url) | Way::Nrdp(url) = &self.way {
            let sender = self.settings.sender().map_err(Failure::Stop)?;
            self.form = Some(web::Form::new(url.clone(), sender, &self.settings));
        }
        Ok(())
    }

    fn reads_messages(&self) -> bool {
        true
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        while load.records().len() > 0 {
            let check = self.check_of(load).map_err(Failure::Reject)?;
            match &self.way {
                // These take as many as there are over one connection.
                Way::Nsca(_) | Way::Program(_) | Way::Nrdp(_) => {
                    self.send_many(check, load).await?;
                }
                Way::CommandFile(path) => {
                    write_command(path, &check)?;
                    load.advance(1);
                }
                Way::Cgi(_) => {
                    let form = self.form.as_mut().context("it is not open");
                    form.map_err(Failure::Retry)?.submit(&check).await?;
                    load.advance(1);
                }
            }
        }
        Ok(Sent::Done)
    }
}

impl NagiosOutput {
    /// What the first record says.
    fn check_of(&mut self, load: &Load) -> anyhow::Result<Check> {
        self.check_at(load, load.first())
    }

    fn check_at(&mut self, load: &Load, index: usize) -> anyhow::Result<Check> {
        let message = load.message(index).context("the message is not there")?;
        Check::of(&message, load.encoded.record(index), &mut self.settings)
    }

    /// Sends `first` and what follows it, up to one that is none.
    async fn send_many(&mut self, first: Check, load: &mut Load) -> Result<(), Failure> {
        let mut checks = vec![first];
        while checks.len() < load.records().len().min(settings::TOGETHER) {
            match self.check_at(load, load.first() + checks.len()) {
                Ok(check) => checks.push(check),
                Err(_) => break,
            }
        }
        match &self.way {
            Way::Nsca(connector) => nsca::send(connector, &self.settings, &checks).await?,
            Way::Program(program) => program::run(program, &self.settings, &checks).await?,
            _ => {
                let form = self.form.as_ref().context("it is not open").map_err(Failure::Retry)?;
                form.submit_all(&checks).await?;
            }
        }
        load.advance(checks.len());
        Ok(())
    }
}

/// Writes a check into the pipe that Nagios reads.
fn write_command(path: &Path, check: &Check) -> Result<(), Failure> {
    let shown = path.display();
    let mut options = std::fs::OpenOptions::new();
    // Without a reader this fails at once.
    let opened = options.write(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut pipe = opened.map_err(|error| {
        let hint = match (error.kind(), error.raw_os_error()) {
            (_, Some(libc::ENXIO)) => {
                " (nobody reads it: is Nagios running, with check_external_commands=1?)"
            }
            (ErrorKind::NotFound, _) => {
                " (Nagios makes it when it starts: look at its command_file)"
            }
            (ErrorKind::PermissionDenied, _) => " (add the user that heka runs as to its group)",
            _ => "",
        };
        let error = anyhow::Error::from(error);
        Failure::Retry(error.context(format!("cannot open the command file {shown}{hint}")))
    })?;
    let is_pipe = pipe.metadata().is_ok_and(|data| data.file_type().is_fifo());
    if !is_pipe {
        return Err(Failure::Retry(anyhow!(
            "{shown} is no pipe: is it the command_file of Nagios?"
        )));
    }
    let written = pipe.write_all(check.command(PIPE).as_bytes());
    written
        .with_context(|| format!("cannot write to the command file {shown}"))
        .map_err(Failure::Retry)
}
