//! The machine that the engine runs on, measured again and again.
//!
//! | module | messages |
//! | --- | --- |
//! | `system` | `stats.loadavg`, `stats.memstats`, `stats.uptime`, `stats.files`, `stats.pressure` |
//! | `processors` | `stats.procstat`, `stats.cpu` |
//! | `disks` | `stats.diskstats`, `stats.filesystem` |
//! | `network` | `stats.netdev`, `stats.netstat`, `stats.tcp` |
//! | `processes` | `stats.process` |
//! | `cgroups` | `stats.cgroup` |
//!
//! Those that Heka's decoders gave have the same type and fields, so that its filters graph them
//! unchanged; rates stand beside what is counted since the start. What the kernel does not tell is left
//! out.

mod cgroups;
mod disks;
mod look;
mod network;
mod processes;
mod processors;
mod system;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use self::look::Machine;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;

/// Measures this machine at once and then every `ticker_interval`: load, memory and swap, processors,
/// disks, file systems, network, connections, open files, pressure, the processes that take most,
/// control groups and the time since the start. Messages have types that begin with `stats.`, as those
/// of Heka's decoders; a processor, disk, file system, interface, process and group each has its own.
/// Rates and percentages are there from the second time on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HostMetricsInput {
    /// What is measured; all there is where it is left out.
    collect: Vec<Part>,
    /// How many processes are told of, those that take most of the processors and those that take most
    /// memory.
    top_processes: usize,
    /// How deep groups within groups are told of.
    cgroup_depth: usize,
    /// Kinds of file systems that are left out.
    exclude_filesystem_types: Vec<String>,
    /// Where the kernel tells of processes and itself.
    proc_path: PathBuf,
    /// Where it tells of devices.
    sys_path: PathBuf,
}

/// Something that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Part {
    Load,
    Memory,
    Cpu,
    Disks,
    Filesystems,
    Network,
    Tcp,
    Files,
    Pressure,
    Processes,
    Cgroups,
    Uptime,
}

const ALL: [Part; 12] = [
    Part::Load,
    Part::Memory,
    Part::Cpu,
    Part::Disks,
    Part::Filesystems,
    Part::Network,
    Part::Tcp,
    Part::Files,
    Part::Pressure,
    Part::Processes,
    Part::Cgroups,
    Part::Uptime,
];

/// File systems that hold nothing, or that may keep the one who asks waiting for a network.
const EXCLUDED: [&str; 31] = [
    "9p",
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "cifs",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.sshfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfs",
    "nfs4",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "smb3",
    "smbfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];

impl Default for HostMetricsInput {
    fn default() -> HostMetricsInput {
        HostMetricsInput {
            collect: ALL.to_vec(),
            top_processes: 10,
            cgroup_depth: 2,
            exclude_filesystem_types: EXCLUDED.map(str::to_owned).to_vec(),
            proc_path: PathBuf::from("/proc"),
            sys_path: PathBuf::from("/sys"),
        }
    }
}

impl Described for HostMetricsInput {
    const NAME: &'static str = "HostMetricsInput";
    const ABOUT: &'static str =
        "Measures this machine: load, memory, processors, disks, network, processes.";
    const EXAMPLE: &'static str = "[HostMetricsInput]\nticker_interval = 10\n\
        collect = [\"load\", \"memory\", \"cpu\", \"disks\", \"filesystems\", \"network\"]\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };
}

#[async_trait]
impl Input for HostMetricsInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        ensure!(!cx.ticker_interval.is_zero(), "`ticker_interval` has to be above 0");
        let origin = cx.origin("stats");
        let mut stream = cx.stream(origin.clone(), None).await?;
        let mut machine = Machine::new(*self, origin);
        let mut ticks = tokio::time::interval(cx.ticker_interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cx.stopping.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            // A file system may keep us waiting.
            let (looked, batch) = tokio::task::spawn_blocking(move || {
                let batch = machine.look();
                (machine, batch)
            })
            .await?;
            machine = looked;
            stream.messages(batch).await?;
        }
    }
}
