//! A cluster of Kafka: how its client is set up, and what the client says on its own.
//!
//! The client, librdkafka, has threads of its own, connects by itself and tells what is wrong to a
//! callback only. [`Ear`] keeps it, so that an error of a plugin says why.

mod ear;

use std::time::Duration;

use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::Deserialize;

pub use ear::Ear;

use super::Tls;
use crate::stdx::secret::Secret;

/// What is wrong with what a section says of a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no broker to ask.
    #[error("`addrs` is empty, expected brokers as \"host:9092\"")]
    Addresses,
    /// The settings of TLS count only where TLS is asked for.
    #[error("`tls` is given, but not `use_tls`: write `use_tls = true`")]
    Unused,
    /// The client knows no such setting.
    #[error("`{0}` in `tls` cannot be given to the client of Kafka: leave it out")]
    Tls(&'static str),
    /// A password without a user.
    #[error("`username` and `password` go together")]
    Half,
}

/// How a user is proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Mechanism {
    /// The password itself is sent.
    #[default]
    #[serde(rename = "PLAIN")]
    Plain,
    /// A proof with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    Scram256,
    /// A proof with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    Scram512,
}

/// Where a cluster is, and who asks.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Some of the brokers.
    pub brokers: &'a [String],
    /// What the client calls itself.
    pub id: &'a str,
    /// Whether TLS is spoken.
    pub is_secure: bool,
    /// How.
    pub tls: Option<&'a Tls>,
    /// How the user is proven.
    pub mechanism: Mechanism,
    /// A user.
    pub username: &'a str,
    /// The password of the user.
    pub password: Option<&'a Secret>,
    /// How long connecting may take.
    pub dial_timeout: Duration,
    /// How long an answer may take.
    pub answer_timeout: Duration,
    /// How often the client asks which brokers there are.
    pub refresh: Duration,
}

impl Access<'_> {
    /// What the client is told of it.
    ///
    /// # Errors
    /// When the settings contradict each other, or this build cannot do it.
    pub fn config(&self) -> Result<ClientConfig, Error> {
        if self.brokers.is_empty() {
            return Err(Error::Addresses);
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers.join(","));
        config.set("client.id", self.id);
        let millis = |time: Duration| time.as_millis().clamp(1000, 300_000).to_string();
        config.set("socket.connection.setup.timeout.ms", millis(self.dial_timeout));
        config.set("socket.timeout.ms", millis(self.answer_timeout));
        config.set("topic.metadata.refresh.interval.ms", millis(self.refresh));
        // A broker that is back is found soon.
        config.set("reconnect.backoff.max.ms", "2000");
        config.set("log.connection.close", "false");
        let has_user = !self.username.is_empty();
        if has_user != self.password.is_some() {
            return Err(Error::Half);
        }
        let protocol = match (self.is_secure, has_user) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(password) = self.password {
            let mechanism = match self.mechanism {
                Mechanism::Plain => "PLAIN",
                Mechanism::Scram256 => "SCRAM-SHA-256",
                Mechanism::Scram512 => "SCRAM-SHA-512",
            };
            config.set("sasl.mechanism", mechanism);
            config.set("sasl.username", self.username).set("sasl.password", password.reveal());
        }
        self.secure(&mut config)?;
        Ok(config)
    }

    fn secure(&self, config: &mut ClientConfig) -> Result<(), Error> {
        let Some(tls) = self.tls else { return Ok(()) };
        if !self.is_secure {
            return Err(Error::Unused);
        }
        for (name, is_given) in [
            ("server_name", !tls.server_name.is_empty()),
            ("ciphers", !tls.ciphers.is_empty()),
            ("client_cafile", tls.client_cafile.is_some()),
        ] {
            if is_given {
                return Err(Error::Tls(name));
            }
        }
        for (name, file) in [
            ("ssl.ca.location", &tls.root_cafile),
            ("ssl.certificate.location", &tls.cert_file),
            ("ssl.key.location", &tls.key_file),
        ] {
            if let Some(file) = file {
                config.set(name, file.to_string_lossy());
            }
        }
        if tls.insecure_skip_verify {
            config.set("enable.ssl.certificate.verification", "false");
        }
        Ok(())
    }
}
