//! What systemd is told, where it started the engine and asked to be: ready, reloading, alive, stopping.
//!
//! It says in `NOTIFY_SOCKET` where, and in `WATCHDOG_USEC` after how many microseconds without a
//! word it takes the process for dead whose id is in `WATCHDOG_PID`, where that is set.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::time::ClockId;
use nix::time::clock_gettime;
use tokio::time::Interval;
use tokio::time::MissedTickBehavior;

/// The longest time between two words that the engine is alive.
const LONGEST: Duration = Duration::from_secs(10);

/// The way to whoever has started the engine; nowhere where nobody asked.
#[derive(Debug)]
pub(super) struct Supervisor {
    socket: Option<UnixDatagram>,
    /// When it is next told that the engine is alive, where it watches.
    beats: Option<Interval>,
}

impl Supervisor {
    /// Finds it in the environment.
    pub(super) fn find() -> Supervisor {
        let address = std::env::var_os("NOTIFY_SOCKET");
        let socket = address.and_then(|address| connect(&address));
        let pace = pace(std::env::var_os("WATCHDOG_USEC"), std::env::var_os("WATCHDOG_PID"));
        Supervisor { beats: pace.filter(|_| socket.is_some()).map(beats), socket }
    }

    /// All is started, or a reload is done.
    pub(super) fn ready(&self) {
        self.tell("READY=1\n");
    }

    /// The configuration is read again; [`Supervisor::ready`] says when that is done.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
        let micros = now.unwrap_or_default().as_micros();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"));
    }

    /// The engine stops.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\n");
    }

    /// Says that the engine is alive when it is time to.
    pub(super) async fn beat(&mut self) {
        match &mut self.beats {
            Some(beats) => beats.tick().await,
            None => std::future::pending().await,
        };
        self.tell("WATCHDOG=1\n");
    }

    /// Waits for `act`, saying meanwhile that the engine is alive: whoever waits still goes round.
    pub(super) async fn alive_during<T>(&mut self, act: impl Future<Output = T>) -> T {
        tokio::pin!(act);
        loop {
            tokio::select! {
                done = &mut act => return done,
                () = self.beat() => {}
            }
        }
    }

    fn tell(&self, text: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(text.as_bytes()) {
            tracing::debug!(%error, "systemd is not told");
        }
    }
}

fn beats(pace: Duration) -> Interval {
    let mut beats = tokio::time::interval(pace);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// Half the time after which silence is death, where it is this process that is watched.
fn pace(micros: Option<OsString>, watched: Option<OsString>) -> Option<Duration> {
    let micros: u64 = micros?.to_str()?.parse().ok()?;
    let watched = watched.map(|id| id.to_str().and_then(|id| id.parse().ok()));
    let is_other = watched.is_some_and(|id| id != Some(std::process::id()));
    let half = Duration::from_micros(micros / 2);
    (!is_other && !half.is_zero()).then(|| half.min(LONGEST))
}

/// A name that starts with `@` is no file.
fn connect(address: &OsStr) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    match address.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name).ok()?).ok()?,
        None => socket.connect(address).ok()?,
    }
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn systemd_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listening = UnixDatagram::bind(&path).unwrap();
        let beats = Some(beats(Duration::from_millis(5)));
        let mut supervisor = Supervisor { socket: connect(path.as_os_str()), beats };
        supervisor.ready();
        supervisor.reloading();
        let act = tokio::time::sleep(Duration::from_millis(20));
        supervisor.alive_during(act).await;
        supervisor.stopping();
        listening.set_nonblocking(true).unwrap();
        let mut told = Vec::new();
        let mut buffer = [0; 64];
        while let Ok(length) = listening.recv(&mut buffer) {
            told.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        assert_eq!(told[0], "READY=1\n");
        assert!(told[1].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told:?}");
        assert!(told.len() > 4 && told[2..told.len() - 1].iter().all(|it| it == "WATCHDOG=1\n"));
        assert_eq!(told.last().unwrap(), "STOPPING=1\n");
    }

    #[test]
    fn life_is_told_twice_in_the_time_that_is_given() {
        let told = |micros: &str, watched: Option<&str>| {
            pace(Some(micros.into()), watched.map(OsString::from))
        };
        let own = std::process::id().to_string();
        assert_eq!(told("3000000", None), Some(Duration::from_millis(1500)));
        assert_eq!(told("300000000", Some(&own)), Some(LONGEST));
        assert_eq!(told("3000000", Some("1")), None);
        assert_eq!(told("soon", None), None);
        assert_eq!(pace(None, None), None);
    }
}
