//! `amqp://user:password@host:port/vhost?heartbeat=30`, with `amqps` for TLS.

use std::fmt;

use reqwest::Url;

use super::Error;
use crate::stdx::secret::Secret;

/// The longest name that AMQP has room for, in bytes.
const MAX_NAME: usize = 255;

/// Where a broker is, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    host: String,
    port: u16,
    user: String,
    password: Secret,
    virtual_host: String,
    heartbeat: u16,
    is_secure: bool,
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Broker {
    /// Reads a URL. What is left out is what RabbitMQ has for it: `guest`, the ports 5672 and 5671, the
    /// virtual host `/`.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(url: &Secret) -> Result<Broker, Error> {
        let url = Url::parse(url.reveal()).map_err(|_| Error::Url("it cannot be read"))?;
        let (is_secure, usual) = match url.scheme() {
            "amqp" => (false, 5672),
            "amqps" => (true, 5671),
            _ => return Err(Error::Url("it begins with neither amqp:// nor amqps://")),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(Error::Url("it has no host"))?.to_owned();
        let or_guest = |text: String| if text.is_empty() { "guest".to_owned() } else { text };
        let virtual_host = match url.path() {
            "" | "/" => "/".to_owned(),
            path => decoded(&path[1..])?,
        };
        if virtual_host.len() > MAX_NAME {
            return Err(Error::Url("its virtual host is longer than 255 bytes"));
        }
        let mut heartbeat = 30;
        for (name, value) in url.query_pairs() {
            let number = value.parse().ok().filter(|_| name == "heartbeat");
            heartbeat = number.ok_or(Error::Url("of parameters it knows `heartbeat` alone"))?;
        }
        Ok(Broker {
            host,
            port: url.port().unwrap_or(usual),
            user: or_guest(decoded(url.username())?),
            password: Secret::new(or_guest(decoded(url.password().unwrap_or_default())?)),
            virtual_host,
            heartbeat,
            is_secure,
        })
    }

    /// Its name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who asks.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password of the user.
    pub fn password(&self) -> &str {
        self.password.reveal()
    }

    /// The part of the broker that is asked for.
    pub fn virtual_host(&self) -> &str {
        &self.virtual_host
    }

    /// How often both sides say that they live, in seconds; 0 is what the broker wants.
    pub fn heartbeat(&self) -> u16 {
        self.heartbeat
    }

    /// Whether it speaks TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Why there is no connection.
    pub(super) fn not_open(&self, error: &amqprs::error::Error) -> Error {
        use amqprs::error::Error as Amqp;
        let reason = error.to_string();
        // The broker ends the connection of whoever it does not know.
        let is_heard = !matches!(error, Amqp::NetworkError(_))
            || ["peer shutdown", "interrupted", "reset by peer"]
                .iter()
                .any(|end| reason.contains(end));
        if is_heard {
            return Error::Login {
                broker: self.to_string(),
                user: self.user.clone(),
                virtual_host: self.virtual_host.clone(),
                reason,
            };
        }
        let reason = reason.trim_start_matches("AMQP network error: network io error: ").to_owned();
        Error::Connect { broker: self.to_string(), reason }
    }
}

/// Undoes `%2F` and the like.
fn decoded(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || (rest.next()? as char).to_digit(16);
        let pair = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(pair.ok_or(Error::Url("a `%` in it is not followed by two digits"))?);
    }
    String::from_utf8(bytes).map_err(|_| Error::Url("it is no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Result<(&str, u16, &str, &str, &str), &str>) {
        let parsed = Broker::parse(&Secret::new(url));
        let parsed = parsed.as_ref().map_err(ToString::to_string).map(|broker| {
            (broker.host(), broker.port(), broker.user(), broker.password(), broker.virtual_host())
        });
        match (parsed, expected) {
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (parsed, expected) => assert_eq!(parsed, expected.map_err(str::to_owned)),
        }
    }

    #[test]
    fn urls_are_read_as_rabbitmq_reads_them() {
        check("amqp://localhost", Ok(("localhost", 5672, "guest", "guest", "/")));
        check("amqps://h/", Ok(("h", 5671, "guest", "guest", "/")));
        check("amqp://u:p%40%2F@[::1]:1/%2Fa?heartbeat=5", Ok(("[::1]", 1, "u", "p@/", "/a")));
        check("amqp://u:p@h/logs", Ok(("h", 5672, "u", "p", "logs")));
        check("http://h", Err("neither amqp://"));
        check("amqp:///x", Err("no host"));
        check("amqp://h?frame_max=3", Err("`heartbeat` alone"));
        check("amqp://h/%2", Err("two digits"));
        check("h:5672", Err("amqp://user:password@host:5672/vhost"));
    }
}
