//! Files in which Linux tells about the machine.
//!
//! | module | file |
//! | --- | --- |
//! | [`load`] | `/proc/loadavg` |
//! | [`memory`] | `/proc/meminfo` |
//! | [`cpu`] | `/proc/stat` |
//! | [`disk`] | `/proc/diskstats`, `/sys/block/DISK/stat` |
//! | [`network`] | `/proc/net/dev`, `/proc/net/snmp`, `/proc/net/netstat`, `/proc/net/tcp` |
//! | [`pressure`] | `/proc/pressure/*` |
//!
//! Source: the documentation of the kernel, `Documentation/filesystems/proc.rst` and its neighbours.
//! Lines that are not as expected are passed over: kernels add some.

pub mod cpu;
pub mod disk;
pub mod load;
pub mod memory;
pub mod network;
pub mod pressure;

#[cfg(test)]
mod tests;
