//! One look at the machine, and what has to be known of the one before.

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use super::HostMetricsInput;
use super::Part;
use super::cgroups;
use super::disks;
use super::network;
use super::processes;
use super::processors;
use super::system;
use crate::message::Batch;
use crate::message::Builder;
use crate::message::Uuids;
use crate::plugin::Origin;
use crate::stdx::clock::Clock;
use crate::stdx::clock::System;

/// The largest file that is read, in bytes: a table of connections may be long.
const MAX_FILE: u64 = 32 << 20;

/// The machine, with what was counted when it was last looked at.
pub(super) struct Machine {
    settings: HostMetricsInput,
    origin: Origin,
    uuids: Uuids,
    clock: System,
    last: Option<Instant>,
    processors: processors::Seen,
    disks: disks::Seen,
    network: network::Seen,
    processes: processes::Seen,
    cgroups: cgroups::Seen,
}

/// The messages of one look.
pub(super) struct Report<'a> {
    pub(super) settings: &'a HostMetricsInput,
    /// Seconds since the look before.
    pub(super) elapsed: Option<f64>,
    /// Nanoseconds since the epoch.
    pub(super) time: i64,
    origin: &'a Origin,
    uuids: &'a mut Uuids,
    batch: &'a mut Batch,
}

impl Machine {
    pub(super) fn new(settings: HostMetricsInput, origin: Origin) -> Machine {
        Machine {
            settings,
            origin,
            uuids: Uuids::default(),
            clock: System::new(),
            last: None,
            processors: processors::Seen::default(),
            disks: disks::Seen::default(),
            network: network::Seen::default(),
            processes: processes::Seen::default(),
            cgroups: cgroups::Seen::default(),
        }
    }

    /// Looks at everything that is asked for.
    pub(super) fn look(&mut self) -> Batch {
        let now = Instant::now();
        let elapsed = self.last.replace(now).map(|last| (now - last).as_secs_f64());
        self.look_after(elapsed.filter(|elapsed| *elapsed > 0.0))
    }

    /// As [`Machine::look`], so many seconds after the look before.
    pub(super) fn look_after(&mut self, elapsed: Option<f64>) -> Batch {
        let mut batch = Batch::new();
        let mut report = Report {
            settings: &self.settings,
            elapsed,
            time: self.clock.wall(),
            origin: &self.origin,
            uuids: &mut self.uuids,
            batch: &mut batch,
        };
        for part in &self.settings.collect {
            match part {
                Part::Load => system::put_load(&mut report),
                Part::Memory => system::put_memory(&mut report),
                Part::Uptime => system::put_uptime(&mut report),
                Part::Files => system::put_files(&mut report),
                Part::Pressure => system::put_pressure(&mut report),
                Part::Cpu => processors::put(&mut self.processors, &mut report),
                Part::Disks => disks::put_disks(&mut self.disks, &mut report),
                Part::Filesystems => disks::put_filesystems(&mut report),
                Part::Network => network::put_interfaces(&mut self.network, &mut report),
                Part::Tcp => network::put_connections(&mut report),
                Part::Processes => processes::put(&mut self.processes, &mut report),
                Part::Cgroups => cgroups::put(&mut self.cgroups, &mut report),
            }
        }
        batch
    }
}

impl Report<'_> {
    /// Begins a message of the type `message_type`.
    pub(super) fn begin(&mut self, message_type: &str) -> Builder<'_> {
        let origin = self.origin;
        let mut message = self.batch.begin();
        message.uuid(&self.uuids.make()).timestamp(self.time);
        message.message_type(message_type.as_bytes()).logger(&origin.logger);
        message.severity(7).hostname(&origin.hostname);
        if let Some(pid) = origin.pid {
            message.pid(pid);
        }
        message
    }

    /// What is in a file below `/proc`.
    pub(super) fn proc(&self, path: &str) -> Option<String> {
        read(&self.settings.proc_path.join(path))
    }

    /// The path of a file below `/proc`, as the messages of Heka have it.
    pub(super) fn path(&self, path: &str) -> String {
        self.settings.proc_path.join(path).display().to_string()
    }
}

/// Ends a message.
pub(super) fn finish(message: Builder<'_>) {
    if let Err(error) = message.finish() {
        tracing::error!(%error, "a message of the machine is lost");
    }
}

/// What is in a file; nothing where it cannot be read.
pub(super) fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// How much was counted in a second, between two looks.
pub(super) fn per_second(before: u64, now: u64, elapsed: f64) -> f64 {
    now.saturating_sub(before) as f64 / elapsed
}

/// A count as the value of a field.
pub(super) fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
