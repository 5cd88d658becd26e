//! The settings of the output.

use std::time::Duration;

use anyhow::Context;
use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::net::Tls;
use crate::outputs::http::Compression;
use crate::outputs::http::url;
use crate::stdx::duration;
use crate::stdx::secret::Secret;
use crate::stdx::size;

/// What is asked of an answer: less to send and to read.
const FILTER: &str = "errors,items.*.status,items.*.error";

/// See [`super::ElasticSearchOutput`].
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The URL of the server, `http://` or `https://`.
    #[serde(default = "server")]
    server: String,
    /// The URLs of several nodes that take turns; `server` is not used then.
    #[serde(default)]
    servers: Vec<String>,
    /// The name of an ingest pipeline that documents go through.
    #[serde(default)]
    pipeline: String,
    /// Documents are sent when so many wait; what else is there goes along.
    #[serde(default = "flush_count")]
    pub(super) flush_count: usize,
    /// Documents are sent when one has waited for so long. In milliseconds.
    #[serde(default = "flush_interval", deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) flush_interval: Duration,
    /// At most so many bytes of documents go in one request, before they are compressed.
    #[serde(default = "max_batch_bytes", deserialize_with = "size::bytes")]
    #[schemars(with = "size::Written")]
    max_batch_bytes: u64,
    /// How long connecting may take, 0 is 30 s. In milliseconds.
    #[serde(default, deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) connect_timeout: Duration,
    /// How long a request may take, 0 is no limit. In milliseconds.
    #[serde(default, deserialize_with = "duration::milliseconds")]
    #[schemars(with = "duration::Written")]
    pub(super) http_timeout: Duration,
    /// Whether each request has a connection of its own.
    #[serde(default)]
    pub(super) http_disable_keepalives: bool,
    /// How requests are compressed: `none`, `gzip` or `deflate`.
    #[serde(default)]
    pub(super) compression: Compression,
    /// Who sends, for Basic authentication; nobody where empty.
    #[serde(default)]
    pub(super) username: String,
    /// The password of the user.
    pub(super) password: Option<Secret>,
    /// An API key, as the server gives it in base64; instead of a user.
    pub(super) api_key: Option<Secret>,
    /// How TLS is spoken.
    pub(super) tls: Option<Tls>,
}

fn server() -> String {
    "http://localhost:9200".to_owned()
}

fn flush_count() -> usize {
    10
}

fn flush_interval() -> Duration {
    Duration::from_secs(1)
}

fn max_batch_bytes() -> u64 {
    2 << 20
}

impl Settings {
    /// The URLs that bulk requests go to.
    pub(super) fn nodes(&self) -> anyhow::Result<Vec<Url>> {
        anyhow::ensure!(
            self.api_key.is_none() || self.username.is_empty(),
            "`api_key` and `username` are given, and only one can be used"
        );
        let one = std::slice::from_ref(&self.server);
        let written = if self.servers.is_empty() { one } else { &self.servers };
        written.iter().map(|server| self.node(server)).collect()
    }

    fn node(&self, server: &str) -> anyhow::Result<Url> {
        anyhow::ensure!(
            !server.starts_with("udp:"),
            "`{server}`: Elasticsearch takes no datagrams since version 2, expected `http://` or \
             `https://`"
        );
        let mut node = url(server)?;
        node.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("no path"))
            .with_context(|| format!("`{server}` cannot have a path"))?
            .pop_if_empty()
            .push("_bulk");
        node.query_pairs_mut().append_pair("filter_path", FILTER);
        if !self.pipeline.is_empty() {
            node.query_pairs_mut().append_pair("pipeline", &self.pipeline);
        }
        Ok(node)
    }

    pub(super) fn max_bytes(&self) -> usize {
        usize::try_from(self.max_batch_bytes).unwrap_or(usize::MAX)
    }
}
