//! `heka inject`: one message to a running engine.

use std::process::ExitCode;

use anyhow::Context;
use chrono::Utc;

use super::link::Carrier;
use super::link::Link;
use super::link::TlsFlags;
use crate::message::ArrayBuilder;
use crate::message::Batch;
use crate::message::Uuids;
use crate::message::Value;
use crate::message::sign::Hash;
use crate::message::sign::Signer;

/// Sends one message to a running engine.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// Address at which an engine listens for framed messages
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5565")]
    heka: String,
    /// Sends a datagram instead of opening a connection
    #[arg(long)]
    udp: bool,
    /// Type of the message
    #[arg(long = "type", value_name = "TYPE", default_value = "inject.message")]
    message_type: String,
    /// Logger of the message
    #[arg(long, default_value = "Inject Client")]
    logger: String,
    /// Severity of the message, from 0 (emergency) to 7 (debug)
    #[arg(long, default_value_t = 7)]
    severity: i32,
    /// Payload of the message
    #[arg(long, default_value = "")]
    payload: String,
    /// Process id of the message
    #[arg(long, default_value_t = 0)]
    pid: i32,
    /// Hostname of the message [default: this host's]
    #[arg(long)]
    hostname: Option<String>,
    /// A field: text, or `name:integer=5`, `name:double=0.5`, `name:bool=true`; several of one
    /// name are an array
    #[arg(long = "field", value_name = "NAME[:TYPE]=VALUE", value_parser = parse_field)]
    fields: Vec<NamedValue>,
    /// Signs the message as `name_version`, with the key in --key or in HEKA_HMAC_KEY
    #[arg(long, value_name = "NAME_VERSION", requires = "key")]
    sign: Option<String>,
    /// Key of the signer
    #[arg(long, env = "HEKA_HMAC_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Hash of the signature
    #[arg(long, default_value = "md5", value_parser = ["md5", "sha1", "sha256"])]
    hash: String,
    #[command(flatten)]
    tls: TlsFlags,
}

impl Command {
    /// Sends the message.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let frame = self.frame()?;
        let carrier =
            if self.udp { Carrier::Datagrams } else { Carrier::Stream(self.tls.settings()) };
        let mut link = Link::open(&self.heka, &carrier)?;
        let sent = link.send(&frame).and_then(|()| link.close());
        sent.with_context(|| format!("cannot send to {}", self.heka))?;
        Ok(ExitCode::SUCCESS)
    }

    /// The message, framed and signed as asked for.
    fn frame(&self) -> anyhow::Result<Vec<u8>> {
        let hostname = match &self.hostname {
            Some(hostname) => hostname.clone(),
            None => nix::unistd::gethostname()?.to_string_lossy().into_owned(),
        };
        let mut batch = Batch::new();
        let mut message = batch.begin();
        message.uuid(&Uuids::default().make());
        message.timestamp(Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX));
        message.message_type(self.message_type.as_bytes()).logger(self.logger.as_bytes());
        message.severity(self.severity).payload(self.payload.as_bytes());
        message.pid(self.pid).hostname(hostname.as_bytes());
        for (index, field) in self.fields.iter().enumerate() {
            let is_first = !self.fields[..index].iter().any(|before| before.name == field.name);
            if is_first {
                message.array(&field.name, "", &self.values(&field.name)?);
            }
        }
        message.finish()?;
        let Some(signer) = &self.sign else { return Ok(batch.bytes().to_vec()) };
        let mut frame = Vec::new();
        signer_of(signer, self.key.as_deref().unwrap_or_default(), &self.hash)?
            .put(&mut frame, batch.message(0).bytes());
        Ok(frame)
    }

    /// All values of the field called `name`.
    fn values(&self, name: &str) -> anyhow::Result<ArrayBuilder> {
        let mut values = ArrayBuilder::default();
        for field in self.fields.iter().filter(|field| field.name == name) {
            let value = match &field.value {
                Typed::Text(text) => Value::String(text.as_bytes()),
                Typed::Integer(number) => Value::Integer(*number),
                Typed::Double(number) => Value::Double(*number),
                Typed::Bool(truth) => Value::Bool(*truth),
            };
            anyhow::ensure!(values.push(value), "the values of field {name} are of several types");
        }
        Ok(values)
    }
}

/// The signer called `name_version`, as it signs with `key` and the hash of this name.
///
/// # Errors
/// When the name has another form.
pub(super) fn signer_of(name_version: &str, key: &str, hash: &str) -> anyhow::Result<Signer> {
    let (name, version) = name_version
        .rsplit_once('_')
        .with_context(|| format!("`{name_version}` is no name of a signer, expected name_1"))?;
    let version = version
        .parse()
        .with_context(|| format!("`{version}` is no version of a key, expected a number"))?;
    let hash = Hash::from_name(hash).with_context(|| format!("`{hash}` is no known hash"))?;
    Signer::new(name, version, hash, key.as_bytes())
        .with_context(|| format!("signer's name exceeds {} bytes", Signer::MAX_NAME))
}

/// One value of a field, as given on the command line.
#[derive(Clone, Debug, PartialEq)]
struct NamedValue {
    name: String,
    value: Typed,
}

#[derive(Clone, Debug, PartialEq)]
enum Typed {
    Text(String),
    Integer(i64),
    Double(f64),
    Bool(bool),
}

fn parse_field(text: &str) -> Result<NamedValue, String> {
    let (left, value) = text.split_once('=').ok_or("expected name=value")?;
    let (name, kind) = left.rsplit_once(':').unwrap_or((left, "text"));
    let is_none = |error: &dyn std::fmt::Display| format!("`{value}` is no {kind}: {error}");
    let value = match kind {
        "text" | "string" => Typed::Text(value.to_owned()),
        "integer" | "int" => Typed::Integer(value.parse().map_err(|error| is_none(&error))?),
        "double" => Typed::Double(value.parse().map_err(|error| is_none(&error))?),
        "bool" => Typed::Bool(value.parse().map_err(|error| is_none(&error))?),
        other => {
            return Err(format!("`{other}` is no type, expected text, integer, double or bool"));
        }
    };
    if name.is_empty() {
        return Err("a field needs a name".to_owned());
    }
    Ok(NamedValue { name: name.to_owned(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<(&str, Typed), &str>) {
        let found = parse_field(input);
        let expected = expected
            .map(|(name, value)| NamedValue { name: name.to_owned(), value })
            .map_err(str::to_owned);
        assert_eq!(found, expected, "{input}");
    }

    #[test]
    fn fields_are_text_unless_they_say_otherwise() {
        check("a=b=c", Ok(("a", Typed::Text("b=c".to_owned()))));
        check("a=", Ok(("a", Typed::Text(String::new()))));
        check("status:integer=-5", Ok(("status", Typed::Integer(-5))));
        check("load:double=0.5", Ok(("load", Typed::Double(0.5))));
        check("up:bool=true", Ok(("up", Typed::Bool(true))));
        check("up", Err("expected name=value"));
        check("=1", Err("a field needs a name"));
        check("n:integer=x", Err("`x` is no integer: invalid digit found in string"));
        check("n:float=1", Err("`float` is no type, expected text, integer, double or bool"));
    }

    #[test]
    fn signers_are_named_with_the_version_of_their_key() {
        assert!(signer_of("ops_team_2", "key", "sha256").is_ok());
        assert!(signer_of("ops", "key", "md5").is_err());
        assert!(signer_of("ops_x", "key", "md5").is_err());
    }
}
