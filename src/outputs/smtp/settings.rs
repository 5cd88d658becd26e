//! The settings of the output.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::mail;
use crate::message::Places;
use crate::net::Address;
use crate::net::Connector;
use crate::net::StreamNet;
use crate::net::Tls;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// See [`super::SmtpOutput`].
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// Who sends.
    #[serde(default = "sender")]
    pub(super) send_from: String,
    /// Who gets it.
    pub(super) send_to: Vec<String>,
    /// The subject, with places such as `%{Hostname}`; `Heka [NAME]` where it is left out.
    pub(super) subject: Option<Places>,
    /// The server, `host:port`.
    #[serde(default = "host")]
    pub(super) host: String,
    /// How it is secured: `none`, `starttls` (as a rule on port 587) or `tls` (on port 465).
    #[serde(default)]
    pub(super) security: Security,
    /// How the user proves who it is: `none`, `Plain`, `Login` or `CRAMMD5`.
    #[serde(default)]
    pub(super) auth: Auth,
    /// The user.
    #[serde(default)]
    pub(super) user: String,
    /// The password of the user.
    pub(super) password: Option<Secret>,
    /// All that comes within this time goes in one mail; 0 is a mail each. In seconds.
    #[serde(default, deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub(super) send_interval: Duration,
    /// How long the server may take over a mail. In seconds.
    #[serde(default = "timeout", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    pub(super) timeout: Duration,
    /// How TLS is spoken.
    pub(super) tls: Option<Tls>,
}

/// How the connection is secured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Security {
    #[default]
    None,
    Starttls,
    Tls,
}

/// How a user proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum Auth {
    #[default]
    #[serde(rename = "none")]
    None,
    Plain,
    Login,
    #[serde(rename = "CRAMMD5")]
    CramMd5,
}

fn sender() -> String {
    "heka@localhost.localdomain".to_owned()
}

fn host() -> String {
    "127.0.0.1:25".to_owned()
}

fn timeout() -> Duration {
    Duration::from_secs(30)
}

impl Settings {
    /// Finds what cannot work.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.send_to.is_empty(), "`send_to` names nobody");
        for written in self.send_to.iter().chain([&self.send_from]) {
            let address = mail::address(written);
            let is_sound = address.contains('@')
                && !address
                    .contains(|letter: char| letter.is_whitespace() || "<>".contains(letter))
                && !written.contains(char::is_control);
            anyhow::ensure!(is_sound, "`{written}` is no address of mail");
        }
        let has_user = !self.user.is_empty() && self.password.is_some();
        anyhow::ensure!(
            self.auth == Auth::None || has_user,
            "`auth` is given, and `user` or `password` is missing"
        );
        let is_here = ["127.", "[::1]", "localhost"].iter().any(|here| self.host.starts_with(here));
        let is_open = self.security == Security::None && self.auth != Auth::CramMd5;
        anyhow::ensure!(
            self.auth == Auth::None || !is_open || is_here,
            "the password would go over the network for all to read: set `security` to \"starttls\" or \
             \"tls\""
        );
        anyhow::ensure!(
            self.tls.is_none() || self.security != Security::None,
            "`tls` is given, and `security` does not ask for it"
        );
        Ok(())
    }

    /// What connects to the server; with TLS at once, or the settings for later.
    pub(super) fn connector(&self) -> anyhow::Result<Connector> {
        let address = Address::stream(StreamNet::Tcp, &self.host)?;
        let connector = Connector::new(address).timeout(self.timeout);
        Ok(match self.security {
            Security::None => connector,
            Security::Starttls => connector.tls(&self.tls.clone().unwrap_or_default())?.later(),
            Security::Tls => connector.tls(&self.tls.clone().unwrap_or_default())?,
        })
    }
}
