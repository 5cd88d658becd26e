//! TLS as sections of configuration describe it, with the keys of Heka, through rustls.
//!
//! | key | server | client |
//! | --- | --- | --- |
//! | `cert_file`, `key_file` | its certificate, required | its certificate, where the server asks |
//! | `client_auth`, `client_cafile` | what is asked of clients, and who may have signed it | – |
//! | `root_cafile`, `server_name`, `insecure_skip_verify` | – | how the server is checked |
//! | `session_*` | tickets | whether sessions are resumed |
//!
//! Certificates that are replaced count from the next connection on.
//!
//! Of versions and ciphers only those stand that are still safe; the others are refused with the
//! nearest that exists.

mod certificate;
mod cipher;
mod server;
mod ticket;
mod verify;
mod version;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::ServerConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

pub use cipher::Cipher;
pub use server::Server;
pub use ticket::TicketKey;
pub use version::Version;

/// What is wrong with TLS settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of certificates or keys cannot be read.
    #[error("cannot read {what} from {path}")]
    File {
        /// What should be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls_pki_types::pem::Error,
    },
    /// A file has nothing of what it should hold.
    #[error("{path} does not hold {what}")]
    Empty {
        /// What should be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A setting is missing that this use needs.
    #[error("`{0}` is missing in the tls settings: {1}")]
    Missing(&'static str, &'static str),
    /// There are settings, and nothing says whether they count.
    #[error(
        "`tls` is given, but not `use_tls`: write `use_tls = true`, or `false` to speak plainly"
    )]
    Unused,
    /// The versions or ciphers leave nothing to talk with.
    #[error("{0}")]
    Range(String),
    /// The system's own certificates cannot be found.
    #[error("cannot load the root certificates of the system, give `root_cafile`")]
    Roots,
    /// The name of the server is no name.
    #[error("`{0}` is no name of a server")]
    Name(String),
    /// The parts do not fit.
    #[error("cannot set up tls")]
    Setup(#[from] rustls::Error),
    /// The certificates that the other side is checked against do not work.
    #[error("cannot check certificates")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// What a server asks of its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ClientAuth {
    /// No certificate is asked for.
    #[default]
    NoClientCert,
    /// One is asked for; none, or any, will do.
    RequestClientCert,
    /// One is needed, whoever signed it.
    RequireAnyClientCert,
    /// None will do; one that is given has to be signed by a CA in `client_cafile`.
    VerifyClientCertIfGiven,
    /// One is needed and has to be signed by a CA in `client_cafile`.
    RequireAndVerifyClientCert,
}

/// How connections are secured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The name the server's certificate has to be for; the host of the address where empty.
    pub server_name: String,
    /// PEM file with the certificate and those between it and its root.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the private key of the certificate.
    pub key_file: Option<PathBuf>,
    /// What a server asks of its clients.
    pub client_auth: ClientAuth,
    /// The ciphers that may be used; all that are safe where empty.
    pub ciphers: Vec<Cipher>,
    /// Whether a client talks to any server at all. Anyone can listen then.
    pub insecure_skip_verify: bool,
    /// Whether the order of the server's ciphers counts, and not that of the client.
    pub prefer_server_ciphers: bool,
    /// Whether sessions are not resumed.
    pub session_tickets_disabled: bool,
    /// The key of session tickets, 32 bytes in hex, so that several servers can resume the same
    /// sessions; one is made at random where it is left out.
    pub session_ticket_key: Option<TicketKey>,
    /// The lowest version spoken.
    pub min_version: Version,
    /// The highest version spoken.
    pub max_version: Version,
    /// PEM file with the CAs that may have signed certificates of clients.
    pub client_cafile: Option<PathBuf>,
    /// PEM file with the CAs that may have signed the certificate of a server; those of the system
    /// where it is left out.
    pub root_cafile: Option<PathBuf>,
}

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            server_name: String::new(),
            cert_file: None,
            key_file: None,
            client_auth: ClientAuth::NoClientCert,
            ciphers: Vec::new(),
            insecure_skip_verify: false,
            prefer_server_ciphers: true,
            session_tickets_disabled: false,
            session_ticket_key: None,
            min_version: Version::Tls12,
            max_version: Version::Tls13,
            client_cafile: None,
            root_cafile: None,
        }
    }
}

impl Tls {
    /// Whether a server with these settings lets nobody in without a certificate that is checked.
    pub fn asks_for_certificates(&self) -> bool {
        self.client_auth == ClientAuth::RequireAndVerifyClientCert
    }

    /// The settings that count: those of `tls`, or the defaults, where `use_tls` says so.
    ///
    /// # Errors
    /// When there are settings without a word on whether they count: what was to be secured would go
    /// over the wire for all to read.
    pub fn wanted(use_tls: Option<bool>, tls: Option<&Tls>) -> Result<Option<Tls>, Error> {
        match (use_tls, tls) {
            (Some(true), tls) => Ok(Some(tls.cloned().unwrap_or_default())),
            (None, Some(_)) => Err(Error::Unused),
            (Some(false), _) | (None, None) => Ok(None),
        }
    }

    /// What a server needs, where `use_tls` says that it speaks TLS.
    ///
    /// # Errors
    /// As [`Tls::wanted`] and [`Tls::server`].
    pub fn server_wanted(
        use_tls: Option<bool>,
        tls: Option<&Tls>,
    ) -> Result<Option<Arc<Server>>, Error> {
        Tls::wanted(use_tls, tls)?.map(|tls| tls.server()).transpose()
    }

    /// What a server needs.
    ///
    /// # Errors
    /// When a file cannot be read or the settings contradict each other.
    pub fn server(&self) -> Result<Arc<Server>, Error> {
        Ok(Arc::new(Server::new(self)?))
    }

    fn server_config(&self) -> Result<Arc<ServerConfig>, Error> {
        let provider = self.provider()?;
        let why = "a server needs a certificate and its key";
        let cert_file = self.cert_file.as_ref().ok_or(Error::Missing("cert_file", why))?;
        let key_file = self.key_file.as_ref().ok_or(Error::Missing("key_file", why))?;
        let verifier = verify::clients(self, &provider)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions()?)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificate::chain(cert_file)?, certificate::key(key_file)?)?;
        config.ignore_client_order = self.prefer_server_ciphers;
        if self.session_tickets_disabled {
            config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = match &self.session_ticket_key {
                Some(key) => key.ticketer(),
                None => rustls::crypto::ring::Ticketer::new()?,
            };
        }
        Ok(Arc::new(config))
    }

    /// What a client needs.
    ///
    /// # Errors
    /// When a file cannot be read or the settings contradict each other.
    pub fn client(&self) -> Result<Arc<ClientConfig>, Error> {
        let provider = self.provider()?;
        self.client_with(&provider, verify::servers(self, &provider)?)
    }

    /// As [`Tls::client`], for what says the host of the address whatever `server_name` is: the
    /// certificate is still checked for `server_name`.
    ///
    /// # Errors
    /// As [`Tls::client`], and when `server_name` is no name.
    pub fn client_by_name(&self) -> Result<Arc<ClientConfig>, Error> {
        let provider = self.provider()?;
        let verifier = verify::servers(self, &provider)?;
        self.client_with(&provider, verify::named(&self.server_name, verifier)?)
    }

    fn client_with(
        &self,
        provider: &Arc<CryptoProvider>,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Result<Arc<ClientConfig>, Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&self.versions()?)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => {
                builder.with_client_auth_cert(certificate::chain(cert)?, certificate::key(key)?)?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) => return Err(Error::Missing("key_file", "`cert_file` is given")),
            (None, Some(_)) => return Err(Error::Missing("cert_file", "`key_file` is given")),
        };
        if self.session_tickets_disabled {
            config.resumption = rustls::client::Resumption::disabled();
        }
        Ok(Arc::new(config))
    }

    /// The versions from `min_version` to `max_version`.
    fn versions(&self) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, Error> {
        version::between(self.min_version, self.max_version)
    }

    /// The cryptography, cut down to the ciphers that are wanted and can be spoken.
    fn provider(&self) -> Result<Arc<CryptoProvider>, Error> {
        let mut provider = rustls::crypto::ring::default_provider();
        if !self.ciphers.is_empty() {
            let wanted = |suite: &rustls::SupportedCipherSuite| {
                self.ciphers.iter().any(|cipher| cipher.suite() == suite.suite())
            };
            provider.cipher_suites.retain(wanted);
            // The order of the list is the order of preference.
            provider.cipher_suites.sort_by_key(|suite| {
                self.ciphers.iter().position(|cipher| cipher.suite() == suite.suite())
            });
        }
        let versions = self.versions()?;
        if !provider.cipher_suites.iter().any(|suite| versions.contains(&suite.version())) {
            return Err(Error::Range(format!(
                "none of the `ciphers` belongs to a version from {} to {}",
                self.min_version, self.max_version
            )));
        }
        Ok(Arc::new(provider))
    }
}

/// What a client needs that trusts what the system trusts, be that nothing at all.
///
/// # Errors
/// When the cryptography does not start.
pub fn system_client() -> Result<Arc<ClientConfig>, Error> {
    let config = ClientConfig::builder_with_provider(Tls::default().provider()?)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(certificate::system_roots())
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
