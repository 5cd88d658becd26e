//! `heka flood`: load, to see what an engine takes.
//!
//! Messages are made while they are sent, from a seed, in bursts of up to 64 KiB over TCP and one a
//! datagram over UDP. Once a second, on stderr: how many messages and how many bits.

mod message;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use chrono::Utc;

use self::message::Messages;
use self::settings::Settings;
use super::link::Carrier;
use super::link::Link;
use super::link::TlsFlags;

/// What Heka takes when nothing else is said, in bytes.
const DEFAULT_MAX_MESSAGE_SIZE: usize = 64 * 1024;
/// The most bytes a message may be asked to have; half the pool that payloads are cut from.
const MAX_SIZE: usize = 512 * 1024;
/// Over TCP so many bytes go out together.
const BURST: usize = 64 * 1024;

/// Sends load to an engine, and says how much it took.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// Address at which an engine listens for framed messages
    #[arg(value_name = "HOST:PORT", default_value = "127.0.0.1:5565")]
    address: String,
    /// Reads what to do from a flood.toml of Heka instead of these flags
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The section of that file
    #[arg(long, value_name = "SECTION", default_value = "default", requires = "config")]
    test: String,
    /// Sends datagrams
    #[arg(long)]
    udp: bool,
    /// How many messages; 0 is until it is stopped
    #[arg(long, short = 'n', default_value_t = 0)]
    messages: u64,
    /// Pause after each message: `10ms`
    #[arg(long, value_parser = duration, default_value = "0s")]
    interval: Duration,
    /// Bytes of payload
    #[arg(long, default_value_t = 1000)]
    size: usize,
    /// Payloads of any length up to twice --size
    #[arg(long)]
    variable_size: bool,
    /// Payloads of printable characters
    #[arg(long)]
    ascii: bool,
    /// Of a hundred messages, how many are damaged
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    corrupt: u8,
    /// Of a hundred messages, how many are larger than --max-message-size
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    oversized: u8,
    /// The largest message the engine takes, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_MESSAGE_SIZE)]
    max_message_size: usize,
    /// Of a hundred messages, how many are signed
    #[arg(long, value_name = "PERCENT", default_value_t = 0, requires = "sign")]
    signed: u8,
    /// Signs as `name_version`, with the key in --key or in HEKA_HMAC_KEY
    #[arg(long, value_name = "NAME_VERSION", requires = "key")]
    sign: Option<String>,
    /// Key of the signer
    #[arg(long, env = "HEKA_HMAC_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Hash of the signature
    #[arg(long, default_value = "md5", value_parser = ["md5", "sha1", "sha256"])]
    hash: String,
    /// Connects again after an error, after so long a pause
    #[arg(long, value_name = "PAUSE", value_parser = duration)]
    reconnect: Option<Duration>,
    /// Another seed gives other messages
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    tls: TlsFlags,
}

fn duration(text: &str) -> Result<Duration, crate::stdx::duration::Error> {
    crate::stdx::duration::parse(text, Duration::from_secs(1))
}

impl Command {
    /// Floods until all is sent.
    ///
    /// # Errors
    /// When nobody listens there, or the settings cannot work.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let settings = match &self.config {
            Some(path) => Settings::read(path, &self.test)?,
            None => self.settings()?,
        };
        let mut progress = Progress::new();
        let outcome = flood(&settings, &mut progress);
        progress.summary();
        outcome.map(|()| ExitCode::SUCCESS)
    }

    fn settings(self) -> anyhow::Result<Settings> {
        let key = self.key.unwrap_or_default();
        let tls = self.tls.settings();
        let signer = self.sign.map(|name| super::inject::signer_of(&name, &key, &self.hash));
        Settings {
            address: self.address,
            carrier: if self.udp { Carrier::Datagrams } else { Carrier::Stream(tls) },
            messages: self.messages,
            interval: self.interval,
            size: self.size,
            has_variable_size: self.variable_size,
            is_ascii: self.ascii,
            corrupt_percentage: self.corrupt,
            signed_percentage: self.signed,
            oversized_percentage: self.oversized,
            max_message_size: self.max_message_size,
            signer: signer.transpose()?,
            reconnect: self.reconnect,
            seed: self.seed,
        }
        .checked()
    }
}

fn flood(settings: &Settings, progress: &mut Progress) -> anyhow::Result<()> {
    let mut messages = Messages::new(settings);
    let mut burst = Vec::with_capacity(BURST + DEFAULT_MAX_MESSAGE_SIZE);
    let is_one_by_one =
        matches!(settings.carrier, Carrier::Datagrams) || !settings.interval.is_zero();
    let largest_burst = if is_one_by_one { 1 } else { BURST };
    let mut link = Link::open(&settings.address, &settings.carrier)?;
    while settings.messages == 0 || progress.messages < settings.messages {
        burst.clear();
        let mut count = 0;
        let now = Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX);
        while burst.len() < largest_burst
            && (settings.messages == 0 || progress.messages + count < settings.messages)
        {
            progress.count(messages.put(&mut burst, now)?);
            count += 1;
        }
        while let Err(error) = link.send(&burst) {
            let Some(pause) = settings.reconnect else {
                return Err(error).with_context(|| format!("cannot send to {}", settings.address));
            };
            progress.errors += 1;
            std::thread::sleep(pause);
            if let Ok(again) = Link::open(&settings.address, &settings.carrier) {
                link = again;
            }
        }
        progress.sent(count, burst.len());
        if !settings.interval.is_zero() {
            std::thread::sleep(settings.interval);
        }
    }
    link.close().with_context(|| format!("cannot end the connection to {}", settings.address))
}

/// How much has been sent, told once a second.
struct Progress {
    started: Instant,
    told: Instant,
    messages: u64,
    bytes: u64,
    told_messages: u64,
    told_bytes: u64,
    corrupt: u64,
    signed: u64,
    oversized: u64,
    errors: u64,
}

impl Progress {
    fn new() -> Progress {
        let now = Instant::now();
        Progress {
            started: now,
            told: now,
            messages: 0,
            bytes: 0,
            told_messages: 0,
            told_bytes: 0,
            corrupt: 0,
            signed: 0,
            oversized: 0,
            errors: 0,
        }
    }

    fn count(&mut self, made: message::Made) {
        self.corrupt += u64::from(made.is_corrupt);
        self.signed += u64::from(made.is_signed);
        self.oversized += u64::from(made.is_oversized);
    }

    fn sent(&mut self, messages: u64, bytes: usize) {
        self.messages += messages;
        self.bytes += bytes as u64;
        let elapsed = self.told.elapsed();
        if elapsed >= Duration::from_secs(1) {
            let (messages, bytes) =
                (self.messages - self.told_messages, self.bytes - self.told_bytes);
            eprintln!("{}", rates(messages, bytes, elapsed));
            (self.told, self.told_messages, self.told_bytes) =
                (Instant::now(), self.messages, self.bytes);
        }
    }

    fn summary(&self) {
        let rates = rates(self.messages, self.bytes, self.started.elapsed());
        eprintln!(
            "Sent: {} messages, {} bytes ({} corrupt, {} signed, {} oversized, {} errors); {rates}",
            self.messages, self.bytes, self.corrupt, self.signed, self.oversized, self.errors
        );
    }
}

fn rates(messages: u64, bytes: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-9);
    let bits = bytes as f64 * 8.0 / seconds;
    format!("{:.0} msg/s, {:.2} Mbit/s", messages as f64 / seconds, bits / 1e6)
}
