//! RabbitMQ: what its management plugin tells.

use std::time::Duration;

use anyhow::Context;
use anyhow::ensure;
use async_trait::async_trait;
use regex::Regex;
use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::daemon;
use super::daemon::Daemon;
use super::daemon::Report;
use super::daemon::Site;
use super::daemon::Watched;
use crate::message::Builder;
use crate::net::Tls;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// A number or text of an answer: where it stands, the name of its field, and its unit.
type Told = (&'static str, &'static str, &'static str);

const OVERVIEW: [Told; 11] = [
    ("/rabbitmq_version", "version", ""),
    ("/erlang_version", "erlang_version", ""),
    ("/cluster_name", "cluster_name", ""),
    ("/object_totals/connections", "connections", ""),
    ("/object_totals/channels", "channels", ""),
    ("/object_totals/consumers", "consumers", ""),
    ("/object_totals/exchanges", "exchanges", ""),
    ("/object_totals/queues", "queues", ""),
    ("/queue_totals/messages", "messages", ""),
    ("/queue_totals/messages_ready", "messages_ready", ""),
    ("/queue_totals/messages_unacknowledged", "messages_unacknowledged", ""),
];

const NODE: [Told; 18] = [
    ("/name", "node", ""),
    ("/type", "type", ""),
    ("/running", "running", ""),
    ("/uptime", "uptime", "ms"),
    ("/mem_used", "memory_used", "B"),
    ("/mem_limit", "memory_limit", "B"),
    ("/mem_alarm", "memory_alarm", ""),
    ("/disk_free", "disk_free", "B"),
    ("/disk_free_limit", "disk_free_limit", "B"),
    ("/disk_free_alarm", "disk_free_alarm", ""),
    ("/fd_used", "files_used", ""),
    ("/fd_total", "files_limit", ""),
    ("/sockets_used", "sockets_used", ""),
    ("/sockets_total", "sockets_limit", ""),
    ("/proc_used", "processes_used", ""),
    ("/proc_total", "processes_limit", ""),
    ("/run_queue", "run_queue", ""),
    ("/processors", "processors", ""),
];

const QUEUE: [Told; 11] = [
    ("/name", "queue", ""),
    ("/vhost", "vhost", ""),
    ("/node", "node", ""),
    ("/type", "type", ""),
    ("/state", "state", ""),
    ("/consumers", "consumers", ""),
    ("/messages", "messages", ""),
    ("/messages_ready", "messages_ready", ""),
    ("/messages_unacknowledged", "messages_unacknowledged", ""),
    ("/message_bytes", "message_bytes", "B"),
    ("/memory", "memory", "B"),
];

/// What is counted of messages, for the whole broker and for a queue.
const COUNTS: [&str; 9] = [
    "publish",
    "confirm",
    "deliver",
    "deliver_get",
    "get",
    "ack",
    "redeliver",
    "return_unroutable",
    "drop_unroutable",
];

/// Asks the management plugin of RabbitMQ at once and then every `ticker_interval`: a message of the type
/// `stats.rabbitmq` for the broker, `stats.rabbitmq.node` for each node and `stats.rabbitmq.queue` for
/// each queue, with what was published, delivered and acknowledged since the start and a second. A broker
/// that does not answer is told of once as `daemon.down`, and once as `daemon.up` when it is back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RabbitmqInput {
    /// The URL of the management plugin.
    url: String,
    /// Who asks.
    username: String,
    /// The password of the user; `guest` where it is left out.
    password: Option<Secret>,
    /// Queues are told whose whole name matches this regular expression; all where empty.
    queue_match: String,
    /// Queues of this virtual host alone are told; those of all where empty.
    vhost: String,
    /// How long the answers may take. In seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    timeout: Duration,
    /// How TLS is spoken.
    tls: Option<Tls>,
}

impl Default for RabbitmqInput {
    fn default() -> RabbitmqInput {
        RabbitmqInput {
            url: "http://127.0.0.1:15672".to_owned(),
            username: "guest".to_owned(),
            password: None,
            queue_match: String::new(),
            vhost: String::new(),
            timeout: Duration::from_secs(10),
            tls: None,
        }
    }
}

impl Described for RabbitmqInput {
    const NAME: &'static str = "RabbitmqInput";
    const ABOUT: &'static str = "Asks RabbitMQ's management plugin how the broker is.";
    const EXAMPLE: &'static str = "# On the broker: rabbitmq-plugins enable rabbitmq_management\n\
        [RabbitmqInput]\nurl = \"http://127.0.0.1:15672\"\nticker_interval = 10\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.timeout.is_zero(), "`timeout` has to be above 0");
        daemon::url("url", &self.url, self.tls.as_ref())?;
        self.queues()?;
        self.site().map(drop)
    }
}

impl RabbitmqInput {
    fn site(&self) -> anyhow::Result<Site> {
        let guest = Secret::new("guest");
        let password = self.password.as_ref().unwrap_or(&guest);
        Site::new(&self.username, Some(password), self.tls.as_ref())
    }

    fn queues(&self) -> anyhow::Result<Regex> {
        let written = if self.queue_match.is_empty() { ".*" } else { &self.queue_match };
        Regex::new(&format!("^(?s:{written})$")).context("`queue_match` is no regular expression")
    }
}

#[async_trait]
impl Input for RabbitmqInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let url = daemon::url("url", &self.url, self.tls.as_ref())?;
        let address = daemon::shown(&url);
        let watched = Watched { daemon: "rabbitmq", address, timeout: self.timeout };
        let broker = Broker { site: self.site()?, queues: self.queues()?, vhost: self.vhost, url };
        daemon::watch(cx, watched, broker).await
    }
}

struct Broker {
    site: Site,
    url: Url,
    queues: Regex,
    vhost: String,
}

#[async_trait]
impl Daemon for Broker {
    async fn ask(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let overview = self.get("overview").await?;
        put(("stats.rabbitmq", "broker"), &OVERVIEW, &overview, report);
        for node in self.get("nodes").await?.as_array().into_iter().flatten() {
            put(("stats.rabbitmq.node", &text(node, "/name")), &NODE, node, report);
        }
        for queue in self.get("queues").await?.as_array().into_iter().flatten() {
            let (vhost, name) = (text(queue, "/vhost"), text(queue, "/name"));
            let is_wanted = self.vhost.is_empty() || self.vhost == vhost;
            if is_wanted && self.queues.is_match(&name) {
                let key = format!("{vhost}/{name}");
                put(("stats.rabbitmq.queue", &key), &QUEUE, queue, report);
            }
        }
        Ok(())
    }
}

impl Broker {
    async fn get(&self, what: &str) -> anyhow::Result<Json> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/api/{what}", self.url.path().trim_end_matches('/')));
        let page = self.site.page(&url).await?;
        serde_json::from_slice(&page.body).with_context(|| {
            let url = daemon::shown(&url);
            format!("{url} holds no JSON; is `url` that of the management plugin?")
        })
    }
}

fn text(of: &Json, place: &str) -> String {
    of.pointer(place).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// Writes a message of a type; `key` names what it is about among all of that type.
fn put((kind, key): (&str, &str), fields: &[Told], of: &Json, report: &mut Report) {
    let counts = COUNTS.map(|name| of.pointer(&format!("/message_stats/{name}"))?.as_i64());
    let mut rates = Vec::new();
    for (name, count) in COUNTS.iter().zip(counts) {
        let key = format!("{kind} {key} {name}");
        rates.push(count.and_then(|count| report.rate(&key, count as f64)));
    }
    let mut message = report.begin(kind);
    for (place, name, unit) in fields {
        if let Some(value) = of.pointer(place) {
            put_value(value, name, unit, &mut message);
        }
    }
    for ((name, count), rate) in COUNTS.iter().zip(counts).zip(rates) {
        if let Some(count) = count {
            message.integer(name, "", count);
        }
        if let Some(rate) = rate {
            message.double(&format!("{name}_per_second"), "1/s", rate);
        }
    }
    Report::finish(message);
}

fn put_value(value: &Json, name: &str, unit: &str, message: &mut Builder<'_>) {
    match value {
        Json::Bool(truth) => {
            message.boolean(name, unit, *truth);
        }
        Json::String(text) => {
            message.string(name, "", text.as_bytes());
        }
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => {
                message.integer(name, unit, whole);
            }
            (None, Some(double)) => {
                message.double(name, unit, double);
            }
            (None, None) => {}
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Value;

    #[test]
    fn a_queue_becomes_a_message_with_rates() {
        let queue = |published: u32| {
            serde_json::json!({
                "name": "q", "vhost": "/", "state": "running", "messages": 3, "memory": 1024,
                "message_stats": { "publish": published }
            })
        };
        let mut report = Report::new(crate::plugin::Origin::default());
        report.start();
        put(("stats.rabbitmq.queue", "/q"), &QUEUE, &queue(10), &mut report);
        report.take();
        report.start_after(5.0);
        put(("stats.rabbitmq.queue", "/q"), &QUEUE, &queue(20), &mut report);
        let batches = report.take();
        let told = batches[0].message(0);
        for (name, unit, expected) in [
            ("queue", "", Value::String(b"q")),
            ("state", "", Value::String(b"running")),
            ("messages", "", Value::Integer(3)),
            ("memory", "B", Value::Integer(1024)),
            ("publish", "", Value::Integer(20)),
            ("publish_per_second", "1/s", Value::Double(2.0)),
        ] {
            let field = told.field(name.as_bytes(), 0).unwrap();
            assert_eq!(field.only_value(), Some(expected), "{name}");
            assert_eq!(field.representation(), unit.as_bytes(), "{name}");
        }
    }
}
