//! `AccessLogDecoder`: access logs of nginx and Apache, read natively.

use anyhow::Context;
use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope;
use super::envelope::Envelope;
use crate::formats::access_log::AccessLog;
use crate::formats::access_log::Dialect;
use crate::formats::access_log::Line;
use crate::formats::access_log::UserAgent;
use crate::message::Batch;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Record;

/// Reads access logs by the format they are written in, into typed fields.
///
/// The message has the time of the line and a field for each variable, with the names of nginx:
/// `remote_addr`, `request`, `status` (a whole number), `body_bytes_sent` (B), `request_time` (s).
/// A number that the log gives as `-` is left out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessLogDecoder {
    /// The format as in the server's configuration: nginx's `log_format`, Apache's `LogFormat`, or
    /// `combined`, `common`, `vhost_combined`.
    log_format: String,
    /// Whose format it is; the format itself tells where this is left out.
    #[serde(default)]
    format: Option<Server>,
    /// The type of the messages; that of the input where it is left out.
    #[serde(default)]
    message_type: Option<String>,
    /// Whether `user_agent_browser`, `user_agent_version` and `user_agent_os` take the place of
    /// `http_user_agent`.
    #[serde(default)]
    user_agent_transform: bool,
    /// Whether `http_user_agent` is kept beside them.
    #[serde(default)]
    user_agent_keep: bool,
    /// Whether `http_user_agent` is kept where the browser is not known.
    #[serde(default)]
    user_agent_conditional: bool,
    /// Whether the line is kept as payload.
    #[serde(default)]
    payload_keep: bool,
}

/// A web server.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Server {
    Nginx,
    Apache,
}

impl Described for AccessLogDecoder {
    const NAME: &'static str = "AccessLogDecoder";
    const ABOUT: &'static str = "Reads access logs of nginx and Apache into typed fields.";
    const EXAMPLE: &'static str = "\
[AccessLogDecoder]
log_format = '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent'
message_type = \"nginx.access\"
";
}

impl Decoder for AccessLogDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        let dialect = self.format.map(|server| match server {
            Server::Nginx => Dialect::Nginx,
            Server::Apache => Dialect::Apache,
        });
        let user_agent = match (self.user_agent_transform, self.user_agent_keep) {
            (false, _) => UserAgent::Text,
            (true, true) => UserAgent::PartsAndText,
            (true, false) if self.user_agent_conditional => UserAgent::PartsOrText,
            (true, false) => UserAgent::Parts,
        };
        let log = AccessLog::compile(&self.log_format, dialect, user_agent)
            .context("cannot use `log_format`")?;
        Ok(Box::new(Lines {
            log,
            message_type: self.message_type.clone(),
            payload_keep: self.payload_keep,
            line: Line::default(),
            inner: envelope::Inner::default(),
        }))
    }
}

struct Lines {
    log: AccessLog,
    message_type: Option<String>,
    payload_keep: bool,
    line: Line,
    inner: envelope::Inner,
}

impl Decoding for Lines {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let text = envelope::without_line_end(record.bytes);
        self.log.read(text, record.now, &mut self.line)?;
        let mut envelope = Envelope::of(record);
        if let Some(time) = self.line.time() {
            envelope.timestamp = time;
        }
        if let Some(message_type) = &self.message_type {
            envelope.message_type = message_type.as_bytes();
        }
        envelope.payload = self.payload_keep.then_some(text);
        let mut builder = envelope.begin(out);
        self.log.write_fields(text, &mut self.line, &mut builder);
        builder.encoded_fields(record.origin.fields());
        builder.finish()?;
        Ok(())
    }
}
