//! A talk with a server (RFC 5321, RFC 3207, RFC 4954).

use anyhow::Context;
use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use md5::Md5;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use super::Mail;
use super::mail::address;
use super::settings::Auth;
use super::settings::Security;
use super::settings::Settings;
use crate::net::Connector;
use crate::net::Stream;
use crate::stdx::host;

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Why a mail was not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It may be later.
    ForNow(anyhow::Error),
    /// The mail itself is not wanted.
    ForGood(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Refusal {
        Refusal::ForNow(error)
    }
}

/// Hands a mail to the server.
pub(super) async fn deliver(settings: &Settings, mail: &Mail) -> Result<(), Refusal> {
    let connector = settings.connector()?;
    let talk = async {
        let mut session = Session::open(settings, &connector).await?;
        session.mail(mail).await?;
        // It has the mail: what it says to the farewell does not matter.
        let _ = session.say("QUIT").await;
        Ok(())
    };
    let (host, limit) = (&settings.host, settings.timeout);
    let late = |_| anyhow!("{host} took more than {limit:?} over a mail (`timeout`)");
    let ended = tokio::time::timeout(limit, talk).await.map_err(late);
    ended.map_err(Refusal::ForNow).and_then(|result| result)
}

struct Session<'a> {
    host: &'a str,
    stream: Stream,
    /// What was read and not used.
    read: Vec<u8>,
}

/// What a server says: its number, and the text of its lines.
struct Answer {
    code: u16,
    text: String,
}

impl<'a> Session<'a> {
    async fn open(settings: &'a Settings, connector: &Connector) -> Result<Session<'a>, Refusal> {
        let stream = connector.connect().await.map_err(anyhow::Error::from)?;
        let mut session = Session { host: &settings.host, stream, read: Vec::new() };
        let greeting = session.hear().await?;
        session.expect(&greeting, 220, "does not take mail now")?;
        let mut offers = session.greet().await?;
        if settings.security == Security::Starttls {
            if !offers.contains("STARTTLS") {
                let host = session.host;
                return Err(
                    anyhow!("{host} does not offer STARTTLS, which `security` asks for").into()
                );
            }
            let answer = session.say("STARTTLS").await?;
            session.expect(&answer, 220, "does not start tls")?;
            let secured = connector.secure(session.stream).await.map_err(anyhow::Error::from)?;
            // Nothing that came before TLS counts.
            session = Session { host: &settings.host, stream: secured, read: Vec::new() };
            offers = session.greet().await?;
        }
        session.prove(settings, &offers).await?;
        Ok(session)
    }

    /// Says hello; gives what the server offers.
    async fn greet(&mut self) -> anyhow::Result<String> {
        let answer = self.say(&format!("EHLO {}", host::hostname())).await?;
        if answer.code == 250 {
            return Ok(answer.text.to_ascii_uppercase());
        }
        let answer = self.say(&format!("HELO {}", host::hostname())).await?;
        self.expect(&answer, 250, "does not answer a greeting")?;
        Ok(String::new())
    }

    async fn prove(&mut self, settings: &Settings, offers: &str) -> anyhow::Result<()> {
        let password = settings.password.as_ref().map_or("", |password| password.reveal());
        let user = settings.user.as_str();
        let answer = match settings.auth {
            Auth::None => return Ok(()),
            Auth::Plain => {
                let proof = STANDARD.encode(format!("\0{user}\0{password}"));
                self.say(&format!("AUTH PLAIN {proof}")).await?
            }
            Auth::Login => {
                let answer = self.say("AUTH LOGIN").await?;
                self.expect(&answer, 334, "does not take AUTH LOGIN")?;
                let answer = self.say(&STANDARD.encode(user)).await?;
                self.expect(&answer, 334, "does not take the user")?;
                self.say(&STANDARD.encode(password)).await?
            }
            Auth::CramMd5 => {
                let answer = self.say("AUTH CRAM-MD5").await?;
                self.expect(&answer, 334, "does not take AUTH CRAM-MD5")?;
                let challenge = STANDARD.decode(answer.text.trim()).context("no challenge")?;
                let mut mac = Hmac::<Md5>::new_from_slice(password.as_bytes())
                    .map_err(|_| anyhow!("the password is none for CRAM-MD5"))?;
                mac.update(&challenge);
                let hex: String =
                    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                self.say(&STANDARD.encode(format!("{user} {hex}"))).await?
            }
        };
        let hint = match answer.code {
            535 => "does not know the user (look at `user` and `password`)",
            504 if !offers.contains("AUTH") => "knows no users (leave out `auth`)",
            _ => "does not take the user (look at `auth`, `user` and `password`)",
        };
        self.expect(&answer, 235, hint)
    }

    async fn mail(&mut self, mail: &Mail) -> Result<(), Refusal> {
        let answer = self.say(&format!("MAIL FROM:<{}>", address(&mail.from))).await?;
        self.taken(&answer, 250, "refuses the sender (look at `send_from`)")?;
        let mut refused = None;
        let mut taken = 0;
        for to in &mail.to {
            let answer = self.say(&format!("RCPT TO:<{}>", address(to))).await?;
            match self.taken(&answer, 250, &format!("refuses to send to {to}")) {
                Ok(()) => taken += 1,
                Err(refusal) => refused = Some(refusal),
            }
        }
        if let Some(refusal) = refused {
            if taken == 0 {
                return Err(refusal);
            }
            let (Refusal::ForNow(error) | Refusal::ForGood(error)) = refusal;
            tracing::warn!(error = format!("{error:#}"), "a recipient of a mail was refused");
        }
        let answer = self.say("DATA").await?;
        self.taken(&answer, 354, "does not take the mail")?;
        let id = format!(
            "{:x}.{:x}",
            std::process::id(),
            crate::stdx::random::Random::seeded(u64::from(
                chrono::Utc::now().timestamp_subsec_nanos()
            ),)
            .next()
        );
        let text = mail.text(chrono::Utc::now(), &id);
        let answer = self.say(&format!("{text}.")).await?;
        self.taken(&answer, 250, "does not take the mail")
    }

    /// Sends a line and hears the answer.
    async fn say(&mut self, line: &str) -> anyhow::Result<Answer> {
        let lost = || format!("the connection to {} broke", self.host);
        let bytes = [line.as_bytes(), b"\r\n"].concat();
        self.stream.write_all(&bytes).await.with_context(lost)?;
        self.stream.flush().await.with_context(lost)?;
        self.hear().await
    }

    async fn hear(&mut self) -> anyhow::Result<Answer> {
        let mut text = String::new();
        loop {
            let line = self.line().await?;
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.with_context(|| format!("{} speaks no smtp: {line}", self.host))?;
            let rest = line.get(4..).unwrap_or_default();
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(rest);
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Answer { code, text });
            }
            anyhow::ensure!(text.len() < MAX_ANSWER, "{} says too much", self.host);
        }
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.read) {
                let line: Vec<u8> = self.read.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            anyhow::ensure!(self.read.len() < MAX_ANSWER, "{} says too much", self.host);
            let lost = || format!("the connection to {} broke", self.host);
            let count = self.stream.read_buf(&mut self.read).await.with_context(lost)?;
            anyhow::ensure!(count > 0, "{} has closed the connection", self.host);
        }
    }

    /// Fails unless the answer has this number: about us, so it is tried again.
    fn expect(&self, answer: &Answer, code: u16, what: &str) -> anyhow::Result<()> {
        let Answer { code: said, text } = answer;
        anyhow::ensure!(*said == code, "{} {what}: {said} {text}", self.host);
        Ok(())
    }

    /// As `expect`, about the mail: a number from 500 on refuses it.
    fn taken(&self, answer: &Answer, code: u16, what: &str) -> Result<(), Refusal> {
        match self.expect(answer, code, what) {
            Ok(()) => Ok(()),
            // Who has to prove who it is has sent a sound mail.
            Err(error) if answer.code >= 500 && answer.code != 530 => Err(Refusal::ForGood(error)),
            Err(error) => Err(Refusal::ForNow(error)),
        }
    }
}
