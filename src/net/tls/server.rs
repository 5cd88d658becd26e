//! What a server needs, made anew when one of its files has changed.
//!
//! The files are looked at when someone connects, which costs little beside a handshake, so that there is
//! nothing to watch and nothing to be told: whoever replaces a certificate has the next connection use
//! it. What is replaced in two steps, the certificate and then its key, does not fit for a moment; the old
//! one counts until it does.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use rustls::ServerConfig;

use super::Error;
use super::Tls;

/// See the module.
#[derive(Debug)]
pub struct Server {
    tls: Tls,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stamps: Vec<Stamp>,
    config: Arc<ServerConfig>,
}

/// What tells one state of a file from another: device, inode, length and time of change.
type Stamp = Option<[i128; 5]>;

impl Server {
    pub(super) fn new(tls: &Tls) -> Result<Server, Error> {
        let stamps = stamps(tls);
        let state = State { stamps, config: tls.server_config()? };
        Ok(Server { tls: tls.clone(), state: Mutex::new(state) })
    }

    /// What counts now.
    pub(in crate::net) fn current(&self) -> Arc<ServerConfig> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.look(&mut state);
        state.config.clone()
    }

    fn look(&self, state: &mut State) {
        let stamps = stamps(&self.tls);
        if stamps == state.stamps {
            return;
        }
        state.stamps = stamps;
        let file = self.tls.cert_file.as_deref().unwrap_or(Path::new("")).display();
        match self.tls.server_config() {
            Ok(config) => {
                tracing::info!(%file, "certificates were read anew");
                state.config = config;
            }
            Err(error) => {
                let error = super::super::Error::Tls(error).with_causes();
                tracing::warn!(%file, error, "changed certificates cannot be used, the old ones are");
            }
        }
    }
}

fn stamps(tls: &Tls) -> Vec<Stamp> {
    let files = [&tls.cert_file, &tls.key_file, &tls.client_cafile];
    files.into_iter().flatten().map(|file| stamp(file)).collect()
}

fn stamp(file: &Path) -> Stamp {
    let data = std::fs::metadata(file).ok()?;
    let changed = i128::from(data.mtime()) * 1_000_000_000 + i128::from(data.mtime_nsec());
    let moved = i128::from(data.ctime()) * 1_000_000_000 + i128::from(data.ctime_nsec());
    Some([data.dev().into(), data.ino().into(), data.len().into(), changed, moved])
}
