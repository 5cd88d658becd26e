//! Elasticsearch and OpenSearch, through the bulk API.

mod answer;
mod settings;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::VecDeque;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use reqwest::Client;
use reqwest::Method;
use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderValue;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use self::answer::Fate;
use self::settings::Settings;
use super::http::Answer;
use super::http::Sender;
use crate::net::http;
use crate::net::http::ClientOptions;
use crate::plugin::Batching;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;

/// Sends documents to Elasticsearch or OpenSearch.
///
/// What becomes of each document is read from the answer: one that the server has no room for now
/// (429, or a failure of its own) is sent again, without those that are stored; one that it refuses is
/// reported with the reason and passed over. Where several nodes are named they take turns, and one
/// that is away is left out as long as another answers.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct ElasticSearchOutput {
    settings: Settings,
    nodes: Vec<Url>,
    /// The node that is asked next.
    turn: usize,
    sender: Option<Sender>,
    /// Why the first records of the load that comes next are refused.
    refused: VecDeque<anyhow::Error>,
    /// So many bytes go in one request at most; less when the server found them too large.
    most: usize,
}

impl TryFrom<Settings> for ElasticSearchOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<ElasticSearchOutput> {
        let nodes = settings.nodes()?;
        let most = settings.max_bytes();
        let refused = VecDeque::new();
        Ok(ElasticSearchOutput { settings, nodes, turn: 0, sender: None, refused, most })
    }
}

impl JsonSchema for ElasticSearchOutput {
    fn schema_name() -> Cow<'static, str> {
        "ElasticSearchOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for ElasticSearchOutput {
    const NAME: &'static str = "ElasticSearchOutput";
    const ABOUT: &'static str = "Stores messages in Elasticsearch or OpenSearch.";
    const EXAMPLE: &'static str = "[ElasticSearchOutput]\nmessage_matcher = \"Type == 'nginx.access'\"\n\
        encoder = \"ESJsonEncoder\"\nserver = \"https://search.example.com:9200\"\n\
        username = \"heka\"\npassword = \"secret\"\n";

    fn check(&self) -> anyhow::Result<()> {
        let is_open = self.nodes.iter().any(|node| node.scheme() == "http");
        anyhow::ensure!(
            self.settings.tls.is_none() || !is_open,
            "`tls` is given, but a server is `http://`, which is for all to read"
        );
        self.client()?;
        self.headers()?;
        Ok(())
    }
}

#[async_trait]
impl Output for ElasticSearchOutput {
    async fn open(&mut self, _cx: &OutputContext) -> Result<(), Failure> {
        let client = self.client().map_err(|error| Failure::Stop(error.into()))?;
        self.sender = Some(Sender {
            client,
            method: Method::POST,
            headers: self.headers().map_err(Failure::Stop)?,
            username: self.settings.username.clone(),
            password: self.settings.password.clone(),
            compression: self.settings.compression,
        });
        Ok(())
    }

    fn batching(&self) -> Option<Batching> {
        Some(Batching {
            records: self.settings.flush_count,
            bytes: self.settings.max_bytes(),
            interval: self.settings.flush_interval,
        })
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        if let Some(reason) = self.refused.pop_front() {
            return Err(Failure::Reject(reason));
        }
        while load.records().len() > 0 {
            let count = self.together(load);
            self.deliver(load, count).await?;
        }
        Ok(Sent::Done)
    }
}

impl ElasticSearchOutput {
    fn client(&self) -> Result<Client, crate::net::Error> {
        let settings = &self.settings;
        let options = ClientOptions {
            timeout: Some(settings.http_timeout).filter(|timeout| !timeout.is_zero()),
            connect_timeout: Some(settings.connect_timeout).filter(|timeout| !timeout.is_zero()),
            is_one_shot: settings.http_disable_keepalives,
        };
        http::client(settings.tls.as_ref(), options)
    }

    fn headers(&self) -> anyhow::Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        if let Some(key) = &self.settings.api_key {
            let value = HeaderValue::from_str(&format!("ApiKey {}", key.reveal()));
            let mut value = value.context("`api_key` has letters that no header can have")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }

    /// How many records from the first on go in one request.
    fn together(&self, load: &Load) -> usize {
        let mut bytes = 0;
        let fits = |record: &&[u8]| {
            bytes += record.len();
            bytes <= self.most
        };
        load.records().take_while(fits).count().max(1)
    }

    async fn deliver(&mut self, load: &mut Load, count: usize) -> Result<(), Failure> {
        let mut size = count;
        loop {
            let encoded = &load.encoded;
            let bytes = encoded.start(load.first())..encoded.start(load.first() + size);
            let answer = self.ask(encoded.bytes[bytes.clone()].to_vec()).await?;
            if answer.is_taken() {
                return self.sort(load, size, &answer);
            }
            if size == 1 || !answer.is_refused() {
                return Err(answer.failure().await);
            }
            if answer.is_too_large() {
                self.most = bytes.len() / 2;
            }
            size = size.div_ceil(2);
        }
    }

    /// Asks the nodes in turn until one answers.
    async fn ask(&mut self, body: Vec<u8>) -> Result<Answer, Failure> {
        let sender = self.sender.as_ref().context("it is not open").map_err(Failure::Retry)?;
        let mut last = None;
        let mut body = Some(body);
        for left in (0..self.nodes.len()).rev() {
            let node = &self.nodes[self.turn % self.nodes.len()];
            self.turn = self.turn.wrapping_add(1);
            let copy = if left == 0 { body.take() } else { body.clone() };
            let answer = match sender.send(node, copy.unwrap_or_default()).await {
                Ok(answer) => answer,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            // A node that is starting, or a proxy before one that is away.
            if left > 0 && matches!(answer.status.as_u16(), 502..=504) {
                last = Some(answer.error());
                continue;
            }
            return Ok(answer);
        }
        Err(Failure::Retry(last.unwrap_or_else(|| anyhow!("there is no server to ask"))))
    }

    /// Moves over what is stored; what is refused comes first in what is left, then what is to be sent
    /// again, then what has not been sent.
    fn sort(&mut self, load: &mut Load, count: usize, answer: &Answer) -> Result<(), Failure> {
        let read = answer::read(&answer.body, count)
            .with_context(|| format!("cannot read what {} answered", answer.place));
        let Some(fates) = read.map_err(Failure::Retry)? else {
            load.advance(count);
            return Ok(());
        };
        let first = load.first();
        let (mut refused, mut again) = (Vec::new(), Vec::new());
        let mut why = None;
        for (index, fate) in (first..).zip(fates) {
            match fate {
                Fate::Stored => {}
                Fate::Refused(reason) => {
                    refused.push(index);
                    self.refused.push_back(reason);
                }
                Fate::Later(reason) => {
                    again.push(index);
                    why.get_or_insert(reason);
                }
            }
        }
        let delayed = again.len();
        let rest = first + count..load.encoded.len();
        let kept: Vec<_> = refused.into_iter().chain(again).chain(rest).collect();
        load.keep(&kept);
        if let Some(reason) = self.refused.pop_front() {
            return Err(Failure::Reject(reason));
        }
        match why {
            Some(reason) => Err(Failure::Retry(
                reason.context(format!("{delayed} of {count} documents have to wait")),
            )),
            None => Ok(()),
        }
    }
}
