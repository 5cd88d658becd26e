//! `log_format` of nginx.
//!
//! A variable is `$name` or `${name}`; everything else stands for itself. Source: the list of
//! variables in nginx's documentation; a name that is not in it is text.

use super::Error;
use super::variable::Element;
use super::variable::Kind;
use super::variable::Time;
use super::variable::Variable;
use crate::formats::time::TimeFormat;

const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
                        $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

/// Compiles a format into the text before the first variable and the variables.
pub(super) fn compile(format: &str) -> Result<(Vec<u8>, Vec<Variable>), Error> {
    let format = if format == "combined" { COMBINED } else { format };
    let mut prefix = Vec::new();
    let mut variables: Vec<Variable> = Vec::new();
    let mut at = 0;
    while at < format.len() {
        let rest = &format[at..];
        let literal = rest.find('$').unwrap_or(rest.len());
        let out = variables.last_mut().map_or(&mut prefix, |last| &mut last.behind);
        out.extend_from_slice(&rest.as_bytes()[..literal]);
        at += literal;
        if literal < rest.len() {
            let (name, length) = name(&rest[literal..], at)?;
            variables.push(variable(name, at));
            at += length;
        }
    }
    Ok((prefix, variables))
}

/// The name of the variable that `text` begins with, and how long it is as written.
fn name(text: &str, at: usize) -> Result<(&str, usize), Error> {
    let error = |reason: &str| Error::At { column: at + 1, reason: reason.to_owned() };
    if let Some(braced) = text.strip_prefix("${") {
        let end = braced.find('}').ok_or_else(|| error("the brace of ${ is not closed"))?;
        return Ok((&braced[..end], end + 3));
    }
    let length =
        text[1..].bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    if length == 0 {
        return Err(error("a name must follow the dollar sign"));
    }
    Ok((&text[1..=length], length + 1))
}

fn variable(name: &str, at: usize) -> Variable {
    let (kind, representation) = kind(name);
    Variable::new(format!("${name}"), at + 1, name.to_owned(), kind, representation)
}

fn kind(name: &str) -> (Kind, &'static str) {
    match name {
        "time_local" => (Kind::Time(Time::Clf), ""),
        "time_iso8601" => (Kind::Time(Time::Iso), ""),
        "msec" => (Kind::Time(Time::Piece(TimeFormat::epoch(1))), ""),
        "remote_addr"
        | "server_addr"
        | "realip_remote_addr"
        | "proxy_protocol_addr"
        | "proxy_protocol_server_addr"
        | "host"
        | "hostname"
        | "server_name"
        | "http_host" => (Kind::Address, ""),
        "http_user_agent" => (Kind::UserAgent, ""),
        "body_bytes_sent" | "bytes_sent" | "bytes_received" | "request_length"
        | "content_length" | "tcpinfo_rcv_space" => (Kind::Integer, "B"),
        "tcpinfo_rtt" | "tcpinfo_rttvar" => (Kind::Integer, "us"),
        "status"
        | "connection"
        | "connection_requests"
        | "connections_active"
        | "connections_reading"
        | "connections_waiting"
        | "connections_writing"
        | "pid"
        | "remote_port"
        | "server_port"
        | "proxy_protocol_port"
        | "proxy_protocol_server_port"
        | "realip_remote_port"
        | "tcpinfo_snd_cwnd" => (Kind::Integer, ""),
        "request_time" | "session_time" | "connection_time" => (Kind::Double, "s"),
        "gzip_ratio" => (Kind::Double, ""),
        "upstream_addr" => (Kind::List(Element::Text), ""),
        "upstream_status" => (Kind::List(Element::Integer), ""),
        "upstream_response_length" | "upstream_bytes_received" | "upstream_bytes_sent" => {
            (Kind::List(Element::Integer), "B")
        }
        "upstream_response_time"
        | "upstream_connect_time"
        | "upstream_header_time"
        | "upstream_queue_time"
        | "upstream_first_byte_time"
        | "upstream_session_time" => (Kind::List(Element::Double), "s"),
        _ => (Kind::Text, ""),
    }
}
