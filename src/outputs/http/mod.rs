//! A request for each record, or for many.

mod sender;
mod settings;
mod target;
#[cfg(test)]
mod tests;

pub(super) use self::sender::Answer;
pub(super) use self::sender::Compression;
pub(super) use self::sender::Sender;
pub(super) use self::sender::url;

use std::borrow::Cow;

use anyhow::Context;
use async_trait::async_trait;
use reqwest::Client;
use reqwest::Method;
use reqwest::header::HeaderMap;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;

use self::settings::Settings;
use self::target::Target;
use self::target::Targets;
use crate::net::http;
use crate::net::http::ClientOptions;
use crate::plugin::Batching;
use crate::plugin::Described;
use crate::plugin::Failure;
use crate::plugin::Load;
use crate::plugin::Output;
use crate::plugin::OutputContext;
use crate::plugin::Sent;

/// Sends records to an HTTP server.
///
/// An answer below 400 means that the record is taken. 401 to 405, 407, 408, 410, 425, 429 and all from
/// 500 on are tried again, after the time the server names in `Retry-After`; every other refuses the
/// record. A batch that is refused is halved until the record is found that is not wanted.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(super) struct HttpOutput {
    settings: Settings,
    method: Method,
    targets: Targets,
    sender: Option<Sender>,
    /// So many records go in one request at most; less when the server found them too large.
    most: usize,
}

impl TryFrom<Settings> for HttpOutput {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<HttpOutput> {
        let targets = Targets::parse(&settings.address, &settings.headers)?;
        let method = settings.method.to_ascii_uppercase();
        let method = Method::from_bytes(method.as_bytes())
            .with_context(|| format!("`{}` is no method of http", settings.method))?;
        let most = match settings.max_batch_count {
            _ if !settings.batch => 1,
            0 => usize::MAX,
            most => most,
        };
        Ok(HttpOutput { settings, method, targets, sender: None, most })
    }
}

impl JsonSchema for HttpOutput {
    fn schema_name() -> Cow<'static, str> {
        "HttpOutput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

impl Described for HttpOutput {
    const NAME: &'static str = "HttpOutput";
    const ABOUT: &'static str = "Sends records to an HTTP server, one or many a request.";
    const EXAMPLE: &'static str = "[HttpOutput]\nmessage_matcher = \"Type == 'alert'\"\n\
        encoder = \"JsonEncoder\"\naddress = \"https://alerts.example.com/new\"\n\
        http_timeout = \"10s\"\n\n\
        [HttpOutput.headers]\nContent-Type = \"application/json\"\n";

    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.settings.tls.is_none() || self.targets.is_encrypted(),
            "`tls` is given, but `address` is `http://`, which is for all to read"
        );
        let is_enveloped = self.is_enveloped();
        anyhow::ensure!(
            self.settings.batch || !is_enveloped && self.settings.max_batch_count == 0,
            "`batch_start`, `batch_between`, `batch_end` and `max_batch_count` are for `batch = true`"
        );
        self.client()?;
        Ok(())
    }
}

#[async_trait]
impl Output for HttpOutput {
    async fn open(&mut self, _cx: &OutputContext) -> Result<(), Failure> {
        let client = self.client().map_err(|error| Failure::Stop(error.into()))?;
        self.sender = Some(Sender {
            client,
            method: self.method.clone(),
            headers: HeaderMap::new(),
            username: self.settings.username.clone(),
            password: self.settings.password.clone(),
            compression: self.settings.compression,
        });
        Ok(())
    }

    fn batching(&self) -> Option<Batching> {
        self.settings.batch.then(|| Batching {
            records: self.settings.flush_count,
            bytes: self.max_bytes(),
            interval: self.settings.flush_interval,
        })
    }

    fn reads_messages(&self) -> bool {
        self.targets.reads_messages()
    }

    async fn send(&mut self, load: &mut Load) -> Result<Sent, Failure> {
        while load.records().len() > 0 {
            let target = self.target(load, load.first()).map_err(Failure::Reject)?;
            let count = self.together(load, &target);
            self.deliver(load, count, &target).await?;
        }
        Ok(Sent::Done)
    }
}

impl HttpOutput {
    fn client(&self) -> Result<Client, crate::net::Error> {
        let timeout = self.settings.http_timeout;
        let options = ClientOptions {
            timeout: (!timeout.is_zero()).then_some(timeout),
            connect_timeout: Some(self.settings.connect_timeout),
            is_one_shot: self.settings.http_disable_keepalives,
        };
        http::client(self.settings.tls.as_ref(), options)
    }

    fn max_bytes(&self) -> usize {
        usize::try_from(self.settings.max_batch_bytes).unwrap_or(usize::MAX)
    }

    fn is_enveloped(&self) -> bool {
        let settings = &self.settings;
        [&settings.batch_start, &settings.batch_between, &settings.batch_end]
            .iter()
            .any(|text| !text.is_empty())
    }

    fn target(&mut self, load: &Load, index: usize) -> anyhow::Result<Target> {
        match self.targets.fixed() {
            Some(target) => Ok(target.clone()),
            None => self.targets.fill(load.message(index).as_ref()),
        }
    }

    /// How many records from the first on go to `target` in one request.
    fn together(&mut self, load: &Load, target: &Target) -> usize {
        let (first, all) = (load.first(), load.records().len().min(self.most));
        let mut bytes = load.encoded.record(first).len();
        let mut count = 1;
        while count < all {
            bytes += load.encoded.record(first + count).len();
            let is_same = self.targets.fixed().is_some()
                || self.target(load, first + count).is_ok_and(|other| other == *target);
            if bytes > self.max_bytes() || !is_same {
                break;
            }
            count += 1;
        }
        count
    }

    /// Sends `count` records, in halves where they are refused together.
    async fn deliver(
        &mut self,
        load: &mut Load,
        count: usize,
        target: &Target,
    ) -> Result<(), Failure> {
        let mut size = count;
        loop {
            let body = self.body(load, size);
            let sender = self.sender.as_ref().context("it is not open").map_err(Failure::Retry)?;
            let sent = sender.send_with(&target.url, &target.headers, body).await;
            let answer = sent.map_err(Failure::Retry)?;
            let member = self.settings.errors_member.as_deref();
            let lists_errors = member.is_some_and(|member| answer.lists_errors(member));
            if answer.is_taken() && !lists_errors {
                load.advance(size);
                return Ok(());
            }
            if size == 1 && lists_errors {
                return Err(Failure::Reject(answer.error()));
            }
            if size == 1 || !answer.is_refused() && !lists_errors {
                return Err(answer.failure().await);
            }
            size = size.div_ceil(2);
            if answer.is_too_large() {
                self.most = size;
            }
        }
    }

    /// The first `count` records as one body.
    fn body(&self, load: &Load, count: usize) -> Vec<u8> {
        let (first, encoded) = (load.first(), &load.encoded);
        let settings = &self.settings;
        if !self.is_enveloped() {
            return encoded.bytes[encoded.start(first)..encoded.start(first + count)].to_vec();
        }
        let mut body = settings.batch_start.clone().into_bytes();
        for (at, index) in (first..first + count).enumerate() {
            if at > 0 {
                body.extend_from_slice(settings.batch_between.as_bytes());
            }
            let record = encoded.record(index);
            body.extend_from_slice(record.strip_suffix(b"\n").unwrap_or(record));
        }
        body.extend_from_slice(settings.batch_end.as_bytes());
        body
    }
}
