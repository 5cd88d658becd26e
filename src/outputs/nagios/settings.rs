//! The settings of the output.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use reqwest::Url;
use reqwest::header::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::Places;
use crate::net::Address;
use crate::net::Connector;
use crate::net::StreamNet;
use crate::net::Tls;
use crate::net::http;
use crate::net::http::ClientOptions;
use crate::outputs::http::Compression;
use crate::outputs::http::Sender;
use crate::outputs::http::url;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// So many checks go over one connection.
pub(super) const TOGETHER: usize = 100;

/// See [`super::NagiosOutput`].
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The URL of `cmd.cgi`; used where no other way is given.
    url: Option<String>,
    /// Who sends, for Basic authentication; nobody where empty.
    #[serde(default)]
    username: String,
    /// The password of the user.
    password: Option<Secret>,
    /// How long an answer of `cmd.cgi` or NRDP may take. In seconds.
    #[serde(default = "response_timeout", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    response_header_timeout: Duration,
    /// The service, with places such as `%{Type}`; the logger of the message where it is left out.
    pub(super) nagios_service_description: Option<Places>,
    /// The host, with places; that of the message where it is left out.
    pub(super) nagios_host: Option<Places>,
    /// Whether the host itself is checked, and no service of it.
    #[serde(default)]
    pub(super) host_check: bool,
    /// The pipe of a Nagios on this machine, its `command_file`.
    command_file: Option<PathBuf>,
    /// Where NSCA listens, `host:port`.
    nsca_address: Option<String>,
    /// The password of NSCA.
    pub(super) nsca_password: Option<Secret>,
    /// How packets for NSCA are encrypted, as its `decryption_method` says: `none` (0), `xor` (1), `des`
    /// (2), `3des` (3) or `aes` (14, RIJNDAEL-128). For others use `send_nsca_bin`.
    #[serde(default)]
    pub(super) nsca_encryption: Encryption,
    /// The URL of NRDP.
    nrdp_url: Option<String>,
    /// The token that NRDP wants.
    pub(super) nrdp_token: Option<Secret>,
    /// A program that reads checks as `send_nsca` does.
    send_nsca_bin: Option<PathBuf>,
    /// Its arguments.
    #[serde(default)]
    pub(super) send_nsca_args: Vec<String>,
    /// How long it, or the connection to NSCA, may take. In seconds.
    #[serde(default = "send_timeout", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub(super) send_nsca_timeout: Duration,
    /// Whether the settings of TLS count; they are for `https://`.
    use_tls: Option<bool>,
    /// How TLS is spoken.
    tls: Option<Tls>,
}

/// How packets are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encryption {
    None,
    #[default]
    Xor,
    Des,
    #[serde(rename = "3des")]
    TripleDes,
    Aes,
}

/// How checks get to Nagios.
#[derive(Debug)]
pub(super) enum Way {
    CommandFile(PathBuf),
    Cgi(Url),
    Nsca(Connector),
    Nrdp(Url),
    Program(PathBuf),
}

fn response_timeout() -> Duration {
    Duration::from_secs(2)
}

fn send_timeout() -> Duration {
    Duration::from_secs(5)
}

impl Settings {
    /// The one way that is given.
    pub(super) fn way(&self) -> anyhow::Result<Way> {
        let given = [
            self.command_file.is_some(),
            self.url.is_some(),
            self.nsca_address.is_some(),
            self.nrdp_url.is_some(),
            self.send_nsca_bin.is_some(),
        ];
        anyhow::ensure!(
            given.into_iter().filter(|is_given| *is_given).count() <= 1,
            "only one of `command_file`, `url`, `nsca_address`, `nrdp_url` and `send_nsca_bin` can be \
             used"
        );
        if let Some(path) = &self.command_file {
            return Ok(Way::CommandFile(path.clone()));
        }
        if let Some(address) = &self.nsca_address {
            let address = Address::stream(StreamNet::Tcp, address)?;
            return Ok(Way::Nsca(Connector::new(address).timeout(self.send_nsca_timeout)));
        }
        if let Some(program) = &self.send_nsca_bin {
            return Ok(Way::Program(program.clone()));
        }
        if let Some(written) = &self.nrdp_url {
            anyhow::ensure!(self.nrdp_token.is_some(), "`nrdp_token` is missing, which NRDP wants");
            return Ok(Way::Nrdp(url(written)?));
        }
        let otherwise = "http://localhost/cgi-bin/cmd.cgi";
        Ok(Way::Cgi(url(self.url.as_deref().unwrap_or(otherwise))?))
    }

    /// What makes requests.
    pub(super) fn sender(&self) -> anyhow::Result<Sender> {
        let tls = Tls::wanted(self.use_tls, self.tls.as_ref())?;
        let options = ClientOptions {
            timeout: Some(self.response_header_timeout).filter(|timeout| !timeout.is_zero()),
            ..ClientOptions::default()
        };
        Ok(Sender {
            client: http::client(tls.as_ref(), options)?,
            method: Method::POST,
            headers: HeaderMap::new(),
            username: self.username.clone(),
            password: self.password.clone(),
            compression: Compression::None,
        })
    }
}
