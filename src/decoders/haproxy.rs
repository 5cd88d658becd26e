//! `HaproxyDecoder`: the logs of HAProxy, of HTTP and of TCP.

use anyhow::Context;
use anyhow::bail;
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope;
use super::envelope::Envelope;
use super::time_layout;
use crate::formats::syslog;
use crate::formats::time::TimeFormat;
use crate::message::Batch;
use crate::message::Builder;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Record;

/// The five timers of `option httplog`, in the order of the line.
const HTTP_TIMERS: [&str; 5] =
    ["time_request", "time_queue", "time_connect", "time_response", "time_active"];
/// The three timers of `option tcplog`.
const TCP_TIMERS: [&str; 3] = ["time_queue", "time_connect", "time_active"];
/// How many connections there are, behind the state of the session.
const CONNECTIONS: [&str; 5] = ["actconn", "feconn", "beconn", "srv_conn", "retries"];
const QUEUES: [&str; 2] = ["srv_queue", "backend_queue"];

/// Reads the logs of HAProxy: `option httplog`, `httpslog`, `tcplog`, and errors of connections, as
/// they are or with a header of syslog before them.
///
/// Fields: `remote_addr`, `remote_port`, `frontend_name`, `backend_name`, `server_name`, the timers
/// `time_request`, `time_queue`, `time_connect`, `time_response` and `time_active` (ms), `status`,
/// `bytes_read` (B), `request_cookie`, `response_cookie`, `termination_state`, `actconn`, `feconn`,
/// `beconn`, `srv_conn`, `retries`, `srv_queue`, `backend_queue`, `request_headers`,
/// `response_headers`, `request`, and `error` where a connection failed. A timer that is -1 is left
/// out. A line that is none of a session is payload alone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HaproxyDecoder {
    /// The zone of the times, as `Europe/Berlin`.
    #[serde(default = "time_layout::utc")]
    tz: String,
    /// The type of the messages.
    #[serde(default = "message_type")]
    message_type: String,
    /// Whether the line is kept as payload.
    #[serde(default)]
    payload_keep: bool,
}

fn message_type() -> String {
    "haproxy".to_owned()
}

impl Described for HaproxyDecoder {
    const NAME: &'static str = "HaproxyDecoder";
    const ABOUT: &'static str = "Reads the logs of HAProxy, of HTTP and of TCP.";
    const EXAMPLE: &'static str = "[HaproxyDecoder]\ntz = \"Europe/Berlin\"\n";
}

impl Decoder for HaproxyDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        let zone = time_layout::zone("tz", &self.tz)?;
        Ok(Box::new(Lines {
            zone,
            layout: TimeFormat::go("02/Jan/2006:15:04:05.000"),
            syslog: syslog::Reader::new(zone),
            settings: self.clone(),
            inner: envelope::Inner::default(),
        }))
    }
}

struct Lines {
    zone: Tz,
    layout: TimeFormat,
    syslog: syslog::Reader,
    settings: HaproxyDecoder,
    inner: envelope::Inner,
}

impl Decoding for Lines {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let line = envelope::without_line_end(record.bytes);
        let mut envelope = Envelope::of(record);
        let text = match head(line) {
            Some(_) => line,
            None => without_syslog(&mut self.syslog, line, record.now, &mut envelope),
        };
        envelope.message_type = self.settings.message_type.as_bytes();
        let Some(Head { client, time, rest }) = head(text) else {
            envelope.payload = Some(text);
            let mut builder = envelope.begin(out);
            builder.encoded_fields(record.origin.fields());
            return Ok(builder.finish()?);
        };
        let time = self.layout.read(time, self.zone, record.now);
        envelope.timestamp = time.context("the time is not as in 22/Nov/2026:12:51:54.123")?;
        envelope.payload = self.settings.payload_keep.then_some(line);
        let mut builder = envelope.begin(out);
        put_client(client, &mut builder);
        put_session(rest, &mut builder).context("expected the fields of httplog or tcplog")?;
        builder.encoded_fields(record.origin.fields());
        builder.finish()?;
        Ok(())
    }
}

/// The line behind a header of syslog, which goes into the envelope.
fn without_syslog<'a>(
    reader: &mut syslog::Reader,
    line: &'a [u8],
    now: i64,
    envelope: &mut Envelope<'a>,
) -> &'a [u8] {
    let found = reader.read(line, now);
    if found.has_header() {
        envelope.severity = found.severity().or(envelope.severity);
        envelope.pid = std::str::from_utf8(found.process).ok().and_then(|pid| pid.parse().ok());
        envelope.timestamp = found.time.unwrap_or(envelope.timestamp);
        if !found.hostname.is_empty() {
            envelope.hostname = found.hostname;
        }
    }
    found.text
}

/// What every line begins with.
struct Head<'a> {
    client: &'a [u8],
    time: &'a [u8],
    rest: &'a [u8],
}

/// Reads `10.0.1.2:33317 [06/Feb/2009:12:14:14.655] rest`.
fn head(line: &[u8]) -> Option<Head<'_>> {
    let (client, rest) = word(line)?;
    let rest = rest.strip_prefix(b"[")?;
    let end = memchr::memmem::find(rest, b"] ")?;
    let is_client = client.contains(&b':') && !client.ends_with(b":");
    is_client.then_some(Head { client, time: &rest[..end], rest: &rest[end + 2..] })
}

/// The first word, and what follows the space behind it.
fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', bytes).unwrap_or(bytes.len());
    (end > 0).then(|| (&bytes[..end], bytes.get(end + 1..).unwrap_or_default()))
}

fn put_client(client: &[u8], out: &mut Builder<'_>) {
    let at = memchr::memrchr(b':', client).unwrap_or(client.len());
    let (address, port) = (&client[..at], client.get(at + 1..).unwrap_or_default());
    let written = std::str::from_utf8(address).unwrap_or_default();
    let sort = match written.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => "ipv4",
        Ok(std::net::IpAddr::V6(_)) => "ipv6",
        Err(_) => "",
    };
    out.string("remote_addr", sort, address);
    if let Some(port) = number(port) {
        out.integer("remote_port", "", port);
    }
}

/// Writes what follows the time.
fn put_session(rest: &[u8], out: &mut Builder<'_>) -> anyhow::Result<()> {
    let (frontend, rest) = word(rest).context("there is no frontend")?;
    let name = frontend.strip_suffix(b"~").unwrap_or(frontend);
    // A connection that failed before anything was asked: `name/1: Connection error …`.
    if let Some(name) = frontend.strip_suffix(b":") {
        out.string("frontend_name", "", name).string("error", "", rest);
        return Ok(());
    }
    out.string("frontend_name", "", name);
    out.boolean("is_tls", "", name.len() < frontend.len());
    let (server, rest) = word(rest).context("there is no server")?;
    let at = memchr::memchr(b'/', server).context("there is no server")?;
    out.string("backend_name", "", &server[..at]);
    if !matches!(&server[at + 1..], b"<NOSRV>" | b"") {
        out.string("server_name", "", &server[at + 1..]);
    }
    let (timers, rest) = word(rest).context("there are no timers")?;
    let count = timers.split(|byte| *byte == b'/').count();
    let is_http = count == HTTP_TIMERS.len();
    if !is_http && count != TCP_TIMERS.len() {
        bail!("{count} timers are neither those of httplog nor of tcplog");
    }
    put_numbers(timers, if is_http { &HTTP_TIMERS } else { &TCP_TIMERS }, "ms", out);
    if is_http { put_http(rest, out) } else { put_tcp(rest, out) }
}

/// Writes what follows the timers of `option httplog`.
fn put_http(rest: &[u8], out: &mut Builder<'_>) -> anyhow::Result<()> {
    let (status, rest) = word(rest).context("there is no status")?;
    if let Some(status) = number(status).filter(|status| *status >= 0) {
        out.integer("status", "", status);
    }
    let (bytes, rest) = word(rest).context("there is no length")?;
    put_numbers(bytes, &["bytes_read"], "B", out);
    let (request_cookie, rest) = word(rest).context("there is no cookie")?;
    let (response_cookie, rest) = word(rest).context("there is no cookie")?;
    for (name, cookie) in [("request_cookie", request_cookie), ("response_cookie", response_cookie)]
    {
        if cookie != b"-" {
            out.string(name, "", cookie);
        }
    }
    let mut rest = put_state(rest, out)?;
    let mut names = ["request_headers", "response_headers"].iter();
    while let Some(inside) = rest.strip_prefix(b"{") {
        let end = memchr::memmem::find(inside, b"} ").context("headers without an end")?;
        if let Some(name) = names.next() {
            out.string(name, "", &inside[..end]);
        }
        rest = &inside[end + 2..];
    }
    let request = rest.strip_prefix(b"\"").context("there is no request")?;
    // The request may be cut, and then has no quote at its end.
    let end = memchr::memrchr(b'"', request).unwrap_or(request.len());
    out.string("request", "", &request[..end]);
    Ok(())
}

/// Writes what follows the timers of `option tcplog`.
fn put_tcp(rest: &[u8], out: &mut Builder<'_>) -> anyhow::Result<()> {
    let (bytes, rest) = word(rest).context("there is no length")?;
    put_numbers(bytes, &["bytes_read"], "B", out);
    put_state(rest, out)?;
    Ok(())
}

/// Writes the state in which the session ended, and what there was at its end.
fn put_state<'a>(rest: &'a [u8], out: &mut Builder<'_>) -> anyhow::Result<&'a [u8]> {
    let (state, rest) = word(rest).context("there is no state")?;
    out.string("termination_state", "", state);
    let (connections, rest) = word(rest).context("there are no connections")?;
    put_numbers(connections, &CONNECTIONS, "", out);
    let (queues, rest) = word(rest).context("there are no queues")?;
    put_numbers(queues, &QUEUES, "", out);
    Ok(rest)
}

/// Writes `1/2/3`; a number that is -1 was never reached, one with a plus was not the last.
fn put_numbers(written: &[u8], names: &[&str], unit: &str, out: &mut Builder<'_>) {
    for (name, text) in names.iter().zip(written.split(|byte| *byte == b'/')) {
        if let Some(number) = number(text).filter(|number| *number >= 0) {
            out.integer(name, unit, number);
        }
    }
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn lines_of_http_are_read() {
        check(
            "[HaproxyDecoder]\ntz = 'Europe/Berlin'",
            "HaproxyDecoder",
            "<134>Nov 22 16:33:22 lb haproxy[14389]: 10.0.1.2:33317 [22/Nov/2026:16:33:21.500] in~ \
             static/srv1 10/0/30/-1/+109 200 2750 - s=1 ---- 1/2/3/4/+5 6/7 {1wt.eu|x} {} \
             \"GET /a\"b HTTP/1.1\"\n",
            "time 1500000000\ntype haproxy\nfrom logger lb\nseverity 6\npid 14389\n\
             remote_addr[ipv4] \"10.0.1.2\"\nremote_port 33317\nfrontend_name \"in\"\nis_tls true\n\
             backend_name \"static\"\nserver_name \"srv1\"\ntime_request[ms] 10\ntime_queue[ms] 0\n\
             time_connect[ms] 30\ntime_active[ms] 109\nstatus 200\nbytes_read[B] 2750\n\
             response_cookie \"s=1\"\ntermination_state \"----\"\nactconn 1\nfeconn 2\nbeconn 3\n\
             srv_conn 4\nretries 5\nsrv_queue 6\nbackend_queue 7\nrequest_headers \"1wt.eu|x\"\n\
             response_headers \"\"\nrequest \"GET /a\\\"b HTTP/1.1\"\nextra 1\n",
        );
    }

    #[test]
    fn lines_of_tcp_and_errors_are_read() {
        check(
            "[HaproxyDecoder]",
            "HaproxyDecoder",
            "::1:5 [22/Nov/2026:15:33:21.000] fnt bck/<NOSRV> -1/-1/5007 212 SC 0/0/0/0/3 0/0",
            "time 1000000000\ntype haproxy\nfrom logger host\nremote_addr[ipv6] \"::1\"\n\
             remote_port 5\nfrontend_name \"fnt\"\nis_tls false\nbackend_name \"bck\"\n\
             time_active[ms] 5007\nbytes_read[B] 212\ntermination_state \"SC\"\nactconn 0\nfeconn 0\n\
             beconn 0\nsrv_conn 0\nretries 3\nsrv_queue 0\nbackend_queue 0\nextra 1\n",
        );
        check(
            "[HaproxyDecoder]",
            "HaproxyDecoder",
            "10.0.0.1:5 [22/Nov/2026:15:33:21.000] fnt/1: SSL handshake failure",
            "time 1000000000\ntype haproxy\nfrom logger host\nremote_addr[ipv4] \"10.0.0.1\"\n\
             remote_port 5\nfrontend_name \"fnt/1\"\nerror \"SSL handshake failure\"\nextra 1\n",
        );
    }

    #[test]
    fn other_lines_are_payload_and_mistakes_are_told() {
        let check = |line, expected| check("[HaproxyDecoder]", "HaproxyDecoder", line, expected);
        check(
            "<133>Nov 22 15:33:21 lb haproxy[1]: Proxy x started.\n",
            "time 1000000000\ntype haproxy\nfrom logger lb\nseverity 5\npid 1\n\
             payload Proxy x started.\nextra 1\n",
        );
        check(
            "1.2.3.4:5 [22/Nov/2026:15:33:21.000] a b/c 1/2 x",
            "error: expected the fields of httplog or tcplog: 2 timers are neither those of httplog \
             nor of tcplog\n",
        );
    }
}
