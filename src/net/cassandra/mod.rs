//! Sessions with Cassandra, and what its errors mean.

mod tls;

use std::sync::Arc;
use std::time::Duration;

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::frame::types::Consistency;
use scylla::policies::host_filter::AllowListHostFilter;
use scylla::policies::retry::FallthroughRetryPolicy;

use super::Error;
use super::Tls;
use crate::stdx::secret::Secret;

/// How long connecting to a node may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Whom a session is with.
#[derive(Debug)]
pub struct Target<'a> {
    /// Nodes that are asked for the others, `host:port`.
    pub nodes: &'a [String],
    /// Whether only these nodes are spoken to.
    pub only_these: bool,
    /// The user; nobody where empty.
    pub username: &'a str,
    /// The password of the user.
    pub password: Option<&'a Secret>,
    /// The data centre whose nodes come first; any where empty.
    pub datacenter: &'a str,
    /// How many replicas have to agree.
    pub consistency: Consistency,
    /// How long a request may take.
    pub timeout: Duration,
    /// How TLS is spoken; it is not where this is left out.
    pub tls: Option<Tls>,
}

/// Whether TLS is spoken with a cluster, and how.
///
/// # Errors
/// When a file cannot be read or the settings contradict each other.
pub fn tls_wanted(use_tls: Option<bool>, tls: Option<&Tls>) -> Result<Option<Tls>, Error> {
    let wanted = Tls::wanted(use_tls, tls)?;
    if let Some(tls) = &wanted {
        tls::context(tls)?;
    }
    Ok(wanted)
}

impl Target<'_> {
    /// Opens a session. The driver tries nothing again by itself: who uses it knows better.
    ///
    /// # Errors
    /// When no node lets it in, with what to do.
    pub async fn open(&self) -> Result<Session, Error> {
        let profile = ExecutionProfile::builder()
            .consistency(self.consistency)
            .request_timeout(Some(self.timeout))
            .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(self.nodes)
            .connection_timeout(CONNECT.min(self.timeout))
            .default_execution_profile_handle(profile.into_handle());
        if self.only_these {
            let allowed = AllowListHostFilter::new(self.nodes);
            let allowed = allowed.map_err(|error| self.failed(explained(&error)))?;
            builder = builder.host_filter(Arc::new(allowed));
        }
        if let Some(tls) = &self.tls {
            builder = builder.tls_context(Some(tls::context(tls)?));
        }
        if !self.datacenter.is_empty() {
            builder = builder.prefer_datacenter(self.datacenter.to_owned());
        }
        if !self.username.is_empty() {
            builder = builder.user(self.username, self.password.map_or("", Secret::reveal));
        }
        match tokio::time::timeout(self.timeout.max(CONNECT), builder.build()).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => Err(self.failed(explained(&error))),
            Err(_) => Err(self.failed(format!("no answer in {:?}", self.timeout))),
        }
    }

    fn failed(&self, mut told: String) -> Error {
        let is_closed = ["reset", "eof", "broken", "closed"];
        let lower = told.to_lowercase();
        if self.tls.is_none() && is_closed.into_iter().any(|word| lower.contains(word)) {
            told.push_str("; does the node ask for TLS? Then give `use_tls = true`");
        }
        Error::Cassandra { nodes: self.nodes.join(", "), told }
    }
}

/// An error in one line, with what to do about it.
pub fn explained(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // What is told twice is told once.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    let knows = |word: &str| text.to_lowercase().contains(word);
    let advice = if knows("missingauthentication") || knows("authentication is required") {
        "; give `username` and `password`"
    } else if knows("credentials") || knows("authentication") {
        "; `username` or `password` is wrong"
    } else if knows("certificate verify failed") {
        "; is `root_cafile` the authority of the nodes, and is their certificate for the address or for \
         `server_name`?"
    } else if knows("certificate required") || knows("bad certificate") {
        "; the nodes ask for a certificate that their authority has signed: give `cert_file` and `key_file`"
    } else if knows("wrong version number") {
        "; the nodes do not speak TLS there: leave out `use_tls`"
    } else if knows("unauthorized") {
        "; grant the user what it needs"
    } else if knows("unconfigured table") {
        "; there is no such table in the keyspace"
    } else if knows("cannot achieve consistency") || knows("not enough nodes") {
        "; fewer nodes are up than `consistency` asks for"
    } else {
        ""
    };
    text + advice
}
