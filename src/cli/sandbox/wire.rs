//! Has a SandboxManagerFilter load or unload a filter, by a signed message over the wire.

use anyhow::Context;
use chrono::Utc;

use crate::cli::inject::signer_of;
use crate::cli::link::Carrier;
use crate::cli::link::Link;
use crate::cli::link::TlsFlags;
use crate::message::Batch;
use crate::message::Uuids;

/// How a control message is signed and where it goes.
#[derive(Debug, clap::Args)]
pub(super) struct Wire {
    /// Sends a control message for a SandboxManagerFilter, signed as `name_version` with the key in
    /// --key or in HEKA_HMAC_KEY, rather than ask over the control socket
    #[arg(long, value_name = "NAME_VERSION", requires = "key")]
    pub(super) signer: Option<String>,
    /// Key of the signer
    #[arg(long, env = "HEKA_HMAC_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Hash of the signature
    #[arg(long, default_value = "md5", value_parser = ["md5", "sha1", "sha256"])]
    hash: String,
    /// Address at which the engine listens for framed messages
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5565")]
    heka: String,
    /// Sends a datagram instead of opening a connection
    #[arg(long)]
    udp: bool,
    #[command(flatten)]
    tls: TlsFlags,
}

impl Wire {
    /// Sends the script and its section; says what was sent.
    pub(super) fn load(&self, signer: &str, section: &str, script: &str) -> anyhow::Result<String> {
        self.send(signer, script, &[("action", "load"), ("config", section)])?;
        Ok(format!("sent to {}; its log and `heka sandbox list` there tell the rest\n", self.heka))
    }

    /// Sends the name of what is to be unloaded; says what was sent.
    pub(super) fn unload(&self, signer: &str, name: &str) -> anyhow::Result<String> {
        self.send(signer, "", &[("action", "unload"), ("name", name)])?;
        Ok(format!("sent to {}\n", self.heka))
    }

    fn send(&self, signer: &str, payload: &str, fields: &[(&str, &str)]) -> anyhow::Result<()> {
        let signer = signer_of(signer, self.key.as_deref().unwrap_or_default(), &self.hash)?;
        let mut batch = Batch::new();
        let mut message = batch.begin();
        message.uuid(&Uuids::default().make());
        message.timestamp(Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX));
        message.message_type(b"heka.control.sandbox").logger(b"heka sandbox");
        message.payload(payload.as_bytes());
        let hostname = nix::unistd::gethostname()?.to_string_lossy().into_owned();
        message.hostname(hostname.as_bytes());
        for (name, value) in fields {
            message.string(name, "", value.as_bytes());
        }
        message.finish()?;
        let mut frame = Vec::new();
        signer.put(&mut frame, batch.message(0).bytes());
        let carrier =
            if self.udp { Carrier::Datagrams } else { Carrier::Stream(self.tls.settings()) };
        let mut link = Link::open(&self.heka, &carrier)?;
        let sent = link.send(&frame).and_then(|()| link.close());
        sent.with_context(|| format!("cannot send to {}", self.heka))
    }
}
