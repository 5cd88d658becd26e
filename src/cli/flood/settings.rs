//! What a flood is made of: the flags, or a section of Heka's `flood.toml`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

use crate::cli::link::Carrier;
use crate::message::sign::Signer;
use crate::net::Tls;

/// What `heka flood` does, however it was said.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) address: String,
    pub(super) carrier: Carrier,
    /// How many messages; 0 is until it is stopped.
    pub(super) messages: u64,
    /// Pause after each message.
    pub(super) interval: Duration,
    /// Bytes of payload.
    pub(super) size: usize,
    pub(super) has_variable_size: bool,
    pub(super) is_ascii: bool,
    pub(super) corrupt_percentage: u8,
    pub(super) signed_percentage: u8,
    pub(super) oversized_percentage: u8,
    pub(super) max_message_size: usize,
    pub(super) signer: Option<Signer>,
    /// How long to wait before it connects again; `None` ends at the first error.
    pub(super) reconnect: Option<Duration>,
    pub(super) seed: u64,
}

/// A section of `flood.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Section {
    ip_address: String,
    sender: Sender,
    /// Heka read it and always sent protobuf.
    #[serde(rename = "encoder")]
    _encoder: Option<String>,
    num_messages: u64,
    #[serde(deserialize_with = "crate::stdx::duration::seconds")]
    message_interval: Duration,
    static_message_size: usize,
    variable_size_messages: bool,
    ascii_only: bool,
    corrupt_percentage: u8,
    signed_percentage: u8,
    oversized_percentage: u8,
    signer: Option<SignerSection>,
    #[serde(rename = "pprof_file")]
    _pprof_file: Option<String>,
    use_tls: Option<bool>,
    tls: Option<Tls>,
    max_message_size: usize,
    reconnect_on_error: bool,
    #[serde(deserialize_with = "crate::stdx::duration::seconds")]
    reconnect_interval: Duration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sender {
    #[default]
    Tcp,
    Udp,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignerSection {
    name: String,
    #[serde(default = "md5")]
    hmac_hash: String,
    hmac_key: String,
    #[serde(default)]
    version: u32,
}

fn md5() -> String {
    "md5".to_owned()
}

impl Default for Section {
    fn default() -> Section {
        Section {
            ip_address: "127.0.0.1:5565".to_owned(),
            sender: Sender::Tcp,
            _encoder: None,
            num_messages: 0,
            message_interval: Duration::ZERO,
            static_message_size: 1000,
            variable_size_messages: false,
            ascii_only: false,
            corrupt_percentage: 0,
            signed_percentage: 0,
            oversized_percentage: 0,
            signer: None,
            _pprof_file: None,
            use_tls: None,
            tls: None,
            max_message_size: super::DEFAULT_MAX_MESSAGE_SIZE,
            reconnect_on_error: false,
            reconnect_interval: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// Reads the section `test` of a `flood.toml`.
    ///
    /// # Errors
    /// When there is no such file or section, or it says what cannot be done.
    pub(super) fn read(path: &Path, test: &str) -> anyhow::Result<Settings> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Settings::parse(&text, test).with_context(|| path.display().to_string())
    }

    fn parse(text: &str, test: &str) -> anyhow::Result<Settings> {
        let mut sections: BTreeMap<String, Section> = toml::from_str(text)?;
        let known = sections.keys().cloned().collect::<Vec<_>>().join(", ");
        let section = sections
            .remove(test)
            .with_context(|| format!("there is no test `{test}`, only: {known}"))?;
        let tls = Tls::wanted(section.use_tls, section.tls.as_ref())?;
        let carrier = match section.sender {
            Sender::Tcp => Carrier::Stream(tls),
            Sender::Udp if tls.is_some() => {
                anyhow::bail!("test `{test}` asks for TLS over UDP, which there is not");
            }
            Sender::Udp => Carrier::Datagrams,
        };
        let signer = section.signer.map(|signer| {
            let name = format!("{}_{}", signer.name, signer.version);
            super::super::inject::signer_of(&name, &signer.hmac_key, &signer.hmac_hash)
        });
        Settings {
            address: section.ip_address,
            carrier,
            messages: section.num_messages,
            interval: section.message_interval,
            size: section.static_message_size,
            has_variable_size: section.variable_size_messages,
            is_ascii: section.ascii_only,
            corrupt_percentage: section.corrupt_percentage,
            signed_percentage: section.signed_percentage,
            oversized_percentage: section.oversized_percentage,
            max_message_size: section.max_message_size,
            signer: signer.transpose()?,
            reconnect: section.reconnect_on_error.then_some(section.reconnect_interval),
            seed: 0,
        }
        .checked()
    }

    /// Itself, when it can be done.
    pub(super) fn checked(self) -> anyhow::Result<Settings> {
        for (name, percentage) in [
            ("corrupt", self.corrupt_percentage),
            ("signed", self.signed_percentage),
            ("oversized", self.oversized_percentage),
        ] {
            anyhow::ensure!(percentage <= 100, "{name}_percentage exceeds 100: {percentage}");
        }
        anyhow::ensure!(
            self.signed_percentage == 0 || self.signer.is_some(),
            "signed_percentage is set, but there is no signer"
        );
        anyhow::ensure!(
            self.size <= super::MAX_SIZE && self.max_message_size <= super::MAX_SIZE,
            "messages exceed {} bytes",
            super::MAX_SIZE
        );
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), &str>) {
        let found = Settings::parse(text, "default").map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn a_flood_toml_of_heka_is_read() {
        let text = r#"
            [default]
            ip_address = "127.0.0.1:5565"
            sender = "udp"
            encoder = "protobuf"
            num_messages = 10
            message_interval = "1ms"
            corrupt_percentage = 1
            signed_percentage = 2
            oversized_percentage = 3
            [default.signer]
            name = "test"
            hmac_hash = "md5"
            hmac_key = "key"
            version = 1
        "#;
        let settings = Settings::parse(text, "default").unwrap();
        assert!(matches!(settings.carrier, Carrier::Datagrams) && settings.signer.is_some());
        assert_eq!((settings.messages, settings.interval), (10, Duration::from_millis(1)));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        check("[default]", Ok(()));
        check("[default]\nuse_tls = true\n[default.tls]\ninsecure_skip_verify = true", Ok(()));
        check("[other]", Err("there is no test `default`, only: other"));
        check(
            "[default]\nsigned_percentage = 1",
            Err("signed_percentage is set, but there is no signer"),
        );
        check("[default]\ncorrupt_percentage = 101", Err("corrupt_percentage exceeds 100: 101"));
        check(
            "[default]\nuse_tls = true\nsender = 'udp'",
            Err("test `default` asks for TLS over UDP, which there is not"),
        );
    }
}
