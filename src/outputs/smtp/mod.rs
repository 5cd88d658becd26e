//! Mail, through a server that takes it on.

mod mail;
mod session;
mod settings;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::VecDeque;

use anyhow::anyhow;
use async_trait::async_trait;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use self::mail::Mail;
use self::session::Refusal;
use self::settings::Settings;
use crate::message::places::verbatim;
use crate::plugin::Batching;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;

/// A mail gets no more records at this size, in bytes.
const MAX_MAIL: usize = 1024 * 1024;

/// Sends records as mail, one each or all of an interval in one.
///
/// A mail that the server refuses for good (5xx) is reported and passed over; one that it refuses for
/// now comes again. Where some recipients are refused, the others get it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct SmtpOutput {
    settings: Settings,
    name: String,
    /// Why the first records of the load that comes next are refused.
    refused: VecDeque<anyhow::Error>,
}

impl TryFrom<Settings> for SmtpOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<SmtpOutput> {
        settings.check()?;
        Ok(SmtpOutput { settings, name: String::new(), refused: VecDeque::new() })
    }
}

impl JsonSchema for SmtpOutput {
    fn schema_name() -> Cow<'static, str> {
        "SmtpOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for SmtpOutput {
    const NAME: &'static str = "SmtpOutput";
    const ABOUT: &'static str = "Sends messages as mail.";
    const EXAMPLE: &'static str = "[SmtpOutput]\nmessage_matcher = \"Fields[payload_type] == 'alert'\"\n\
        encoder = \"PayloadEncoder\"\nsend_to = [\"ops@example.com\"]\n\
        subject = \"%{Hostname}: %{Logger}\"\nhost = \"mail.example.com:587\"\n\
        security = \"starttls\"\nauth = \"Plain\"\nuser = \"heka\"\npassword = \"secret\"\n\
        send_interval = \"5m\"\n";
    const DEFAULTS: Defaults = Defaults { encoder: Some("PayloadEncoder"), ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        self.settings.connector().map(drop)
    }
}

#[async_trait]
impl Output for SmtpOutput {
    async fn open(&mut self, cx: &OutputContext) -> Result<(), Failure> {
        self.name = cx.name.to_string();
        Ok(())
    }

    fn batching(&self) -> Option<Batching> {
        let interval = self.settings.send_interval;
        let waits = !interval.is_zero();
        waits.then_some(Batching { records: usize::MAX, bytes: MAX_MAIL, interval })
    }

    fn reads_messages(&self) -> bool {
        self.settings.subject.as_ref().is_some_and(|subject| !subject.is_fixed())
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        if let Some(reason) = self.refused.pop_front() {
            return Err(Failure::Reject(reason));
        }
        while load.records().len() > 0 {
            let is_joined = !self.settings.send_interval.is_zero();
            let count = if is_joined { load.records().len() } else { 1 };
            let mail = self.mail(load, count).map_err(Failure::Reject)?;
            match session::deliver(&self.settings, &mail).await {
                Ok(()) => load.advance(count),
                Err(Refusal::ForNow(error)) => return Err(Failure::Retry(error)),
                Err(Refusal::ForGood(error)) => {
                    let text = format!("{error:#}");
                    let others =
                        (1..count).map(|_| anyhow!("it was in a mail with others: {text}"));
                    self.refused.extend(others);
                    return Err(Failure::Reject(error));
                }
            }
        }
        Ok(Sent::Done)
    }
}

impl SmtpOutput {
    /// A mail with the first `count` records.
    fn mail(&mut self, load: &Load, count: usize) -> anyhow::Result<Mail> {
        let mut subject = Vec::new();
        match (&mut self.settings.subject, load.message(load.first())) {
            (Some(places), Some(message)) => {
                places.put(&message, message.timestamp(), verbatim, &mut subject)?;
            }
            (Some(places), None) => subject.extend_from_slice(places.written().as_bytes()),
            (None, _) => subject.extend_from_slice(format!("Heka [{}]", self.name).as_bytes()),
        }
        let mut subject = String::from_utf8_lossy(&subject).trim_end().to_owned();
        if count > 1 {
            subject.push_str(&format!(" (and {} more)", count - 1));
        }
        let first = load.first();
        let body = load.encoded.start(first)..load.encoded.start(first + count);
        Ok(Mail {
            from: self.settings.send_from.clone(),
            to: self.settings.send_to.clone(),
            subject,
            body: load.encoded.bytes[body].to_vec(),
        })
    }
}
