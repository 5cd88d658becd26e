//! A real carbon-cache.

use std::process::Command;

use super::Place;
use super::server::Server;
use super::server::free_port;

/// Where a carbon-cache listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// Lines.
    pub(crate) lines: u16,
    /// Pickles.
    pub(crate) pickles: u16,
    /// Questions for what is not stored yet.
    pub(crate) query: u16,
}

impl Ports {
    /// Ports that nobody listens on.
    pub(crate) fn free() -> anyhow::Result<Ports> {
        Ok(Ports { lines: free_port()?, pickles: free_port()?, query: free_port()? })
    }
}

/// Writes what it reads when it starts: it keeps its files in `whisper` of the place, a point a minute
/// for a day (of `stats.` a second, for ten minutes), and stores so many a second.
pub(crate) fn configure(place: &Place, ports: Ports, updates: u32) -> anyhow::Result<()> {
    let folder = place.path(".").display().to_string();
    let Ports { lines, pickles, query } = ports;
    place.write(
        "conf/carbon.conf",
        &format!(
            "[cache]\nSTORAGE_DIR = {folder}/\nCONF_DIR = {folder}/conf/\n\
             LOG_DIR = {folder}/log/\nPID_DIR = {folder}/\nLOCAL_DATA_DIR = {folder}/whisper/\n\
             USER =\nLINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {lines}\n\
             PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = {pickles}\n\
             CACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = {query}\n\
             MAX_UPDATES_PER_SECOND = {updates}\nMAX_CREATES_PER_MINUTE = inf\n\
             ENABLE_TAGS = False\nWHISPER_AUTOFLUSH = True\n"
        ),
    )?;
    let seconds = "[seconds]\npattern = ^stats\\.\nretentions = 1s:10m\n";
    let rest = "[rest]\npattern = .*\nretentions = 60s:1d\n";
    place.write("conf/storage-schemas.conf", &format!("{seconds}{rest}"))
}

/// Starts it.
pub(crate) fn start(place: &Place, ports: Ports) -> anyhow::Result<Server> {
    let mut command = Command::new("carbon-cache");
    command.arg(format!("--config={}", place.path("conf/carbon.conf").display()));
    command.arg(format!("--pidfile={}", place.path("carbon.pid").display()));
    command.args(["--nodaemon", "start"]).current_dir(place.path("."));
    Server::start(command, ports.lines)
}
