//! The settings of the HTTP output.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::sender::Compression;
use super::target::Header;
use crate::net::Tls;
use crate::stdx::duration;
use crate::stdx::secret::Secret;
use crate::stdx::size;

/// See [`super::HttpOutput`].
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The URL, `http://` or `https://`. Places such as `%{Hostname}`, `%{field}` or `%{%Y.%m.%d}` are
    /// filled from each message, escaped as a URL needs it.
    pub(super) address: String,
    /// The method.
    #[serde(default = "post")]
    pub(super) method: String,
    /// Who sends, for Basic authentication; nobody where empty.
    #[serde(default)]
    pub(super) username: String,
    /// The password of the user.
    pub(super) password: Option<Secret>,
    /// Further headers: a text each, a list of texts, or a secret as `{ env = "NAME" }` or
    /// `{ file = "PATH" }`. Places are filled from each message, as in `address`.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Header>,
    /// How long a request may take, 0 is no limit. In milliseconds.
    #[serde(default, deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) http_timeout: Duration,
    /// How long connecting may take. In milliseconds.
    #[serde(default = "connect_timeout", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) connect_timeout: Duration,
    /// Whether each request has a connection of its own.
    #[serde(default)]
    pub(super) http_disable_keepalives: bool,
    /// How bodies are compressed: `none`, `gzip`, `deflate` or `zstd`.
    #[serde(default)]
    pub(super) compression: Compression,
    /// Whether many records go in one request.
    #[serde(default)]
    pub(super) batch: bool,
    /// What stands before the records of a request, such as `{"series":[`.
    #[serde(default)]
    pub(super) batch_start: String,
    /// What stands between two records, such as a comma. Where any of the three is given, the newline
    /// at the end of a record is left out.
    #[serde(default)]
    pub(super) batch_between: String,
    /// What stands behind the records of a request, such as `]}`.
    #[serde(default)]
    pub(super) batch_end: String,
    /// A request is sent when so many records wait for it; it takes along what else is there.
    #[serde(default = "flush_count")]
    pub(super) flush_count: usize,
    /// A request is sent when a record has waited for so long. In milliseconds.
    #[serde(default = "flush_interval", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) flush_interval: Duration,
    /// At most so many records go in one request; 0 is no limit.
    #[serde(default)]
    pub(super) max_batch_count: usize,
    /// At most so many bytes of records go in one request, before they are compressed.
    #[serde(default = "max_batch_bytes", deserialize_with = "size::bytes")]
    #[schemars(with = "size::Written")]
    pub(super) max_batch_bytes: u64,
    /// The member of a JSON answer that lists what was not taken, although the request was, such as
    /// `errors`. Where it is not empty, halves of the request are sent again until the record is found
    /// that is not wanted: only for services that know again what they have.
    pub(super) errors_member: Option<String>,
    /// How TLS is spoken.
    pub(super) tls: Option<Tls>,
}

fn post() -> String {
    "POST".to_owned()
}

fn connect_timeout() -> Duration {
    Duration::from_secs(30)
}

fn flush_count() -> usize {
    1000
}

fn flush_interval() -> Duration {
    Duration::from_secs(1)
}

fn max_batch_bytes() -> u64 {
    1 << 20
}
