//! Disks and the file systems on them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::look::Report;
use super::look::finish;
use super::look::per_second;
use super::look::whole;
use crate::formats::linux::disk;
use crate::formats::linux::disk::Disk;
use crate::message::Builder;

/// The counts of the last look, by disk.
pub(super) type Seen = BTreeMap<String, [u64; 11]>;

pub(super) fn put_disks(seen: &mut Seen, report: &mut Report<'_>) {
    let Some(text) = report.proc("diskstats") else { return };
    let path = report.path("diskstats");
    let elapsed = report.elapsed;
    let mut now = Seen::new();
    for disk in disk::disks(&text).filter(Disk::is_whole_and_used) {
        let mut message = report.begin("stats.diskstats");
        message.string("device", "", disk.device.as_bytes());
        for (name, count) in disk::COLUMNS.iter().zip(disk.counts) {
            let unit = if name.contains("Time") { "ms" } else { "" };
            message.double(name, unit, count as f64);
        }
        if let (Some(before), Some(elapsed)) = (seen.get(disk.device), elapsed) {
            put_rates(before, &disk.counts, elapsed, &mut message);
        }
        message.string("FilePath", "", path.as_bytes());
        finish(message);
        now.insert(disk.device.to_owned(), disk.counts);
    }
    *seen = now;
}

/// What `iostat` shows: reads and writes a second, how long one took, and how busy the disk was.
fn put_rates(before: &[u64; 11], now: &[u64; 11], elapsed: f64, message: &mut Builder<'_>) {
    let rate = |column: usize| per_second(before[column], now[column], elapsed);
    let sector = disk::SECTOR as f64;
    message.double("reads_per_second", "1/s", rate(0));
    message.double("writes_per_second", "1/s", rate(4));
    message.double("read_bytes_per_second", "B/s", rate(2) * sector);
    message.double("write_bytes_per_second", "B/s", rate(6) * sector);
    for (name, count, time) in [("read_await", 0, 3), ("write_await", 4, 7)] {
        let count = now[count].saturating_sub(before[count]);
        let time = now[time].saturating_sub(before[time]);
        if count > 0 {
            message.double(name, "ms", time as f64 / count as f64);
        }
    }
    message.double("utilization", "%", (rate(9) / 10.0).min(100.0));
    message.double("queue_length", "", rate(10) / 1000.0);
}

pub(super) fn put_filesystems(report: &mut Report<'_>) {
    let mounts = report.proc("self/mounts").or_else(|| report.proc("mounts"));
    let Some(mounts) = mounts else { return };
    let mut devices = BTreeSet::new();
    for line in mounts.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [device, place, kind, ..] = words[..] else { continue };
        let excluded = &report.settings.exclude_filesystem_types;
        // One that is mounted in several places is told of once.
        if excluded.iter().any(|one| one == kind) || !devices.insert(device.to_owned()) {
            continue;
        }
        let place = unescaped(place);
        let Ok(found) = rustix::fs::statvfs(place.as_str()) else { continue };
        if found.f_blocks == 0 {
            continue;
        }
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        let used = found.f_blocks.saturating_sub(found.f_bfree);
        let mut message = report.begin("stats.filesystem");
        message.string("mount_point", "", place.as_bytes());
        message.string("device", "", unescaped(device).as_bytes());
        message.string("type", "", kind.as_bytes());
        message.integer("size", "B", whole(bytes(found.f_blocks)));
        message.integer("used", "B", whole(bytes(used)));
        message.integer("available", "B", whole(bytes(found.f_bavail)));
        message.double("used_percent", "%", percent(used, used + found.f_bavail));
        if found.f_files > 0 {
            let inodes_used = found.f_files.saturating_sub(found.f_ffree);
            message.integer("inodes", "", whole(found.f_files));
            message.integer("inodes_used", "", whole(inodes_used));
            message.double("inodes_used_percent", "%", percent(inodes_used, found.f_files));
        }
        finish(message);
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// A path with the spaces that are written as `\040`, and the like.
fn unescaped(written: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = written.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let digits = behind.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let octal = octal.filter(|_| *byte == b'\\');
        bytes.push(octal.unwrap_or(*byte));
        rest = if octal.is_some() { &behind[3..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
