//! Load, memory, the time since the start, open files and pressure.

use super::look::Report;
use super::look::finish;
use super::look::whole;
use crate::formats::linux::load;
use crate::formats::linux::memory;
use crate::formats::linux::pressure;

pub(super) fn put_load(report: &mut Report<'_>) {
    let Some(load) = report.proc("loadavg").and_then(|text| load::read(&text)) else { return };
    let path = report.path("loadavg");
    let mut message = report.begin("stats.loadavg");
    for (name, average) in ["1MinAvg", "5MinAvg", "15MinAvg"].iter().zip(load.averages) {
        message.double(name, "", average);
    }
    message.double("NumProcesses", "", load.running as f64);
    message.integer("processes", "", whole(load.processes));
    message.string("FilePath", "", path.as_bytes());
    finish(message);
}

pub(super) fn put_memory(report: &mut Report<'_>) {
    let Some(text) = report.proc("meminfo") else { return };
    let path = report.path("meminfo");
    let of = |name: &str| memory::amounts(&text).find(|one| one.name == name).map(|one| one.value);
    let used = |total: Option<u64>, free: Option<u64>| Some(total?.saturating_sub(free?));
    let memory_used = used(of("MemTotal"), of("MemAvailable").or(of("MemFree")));
    let swap_used = used(of("SwapTotal"), of("SwapFree"));
    let mut message = report.begin("stats.memstats");
    for amount in memory::amounts(&text) {
        message.double(amount.name, amount.unit, amount.value as f64);
    }
    for (name, percent, used, total) in [
        ("MemUsed", "MemUsedPercent", memory_used, of("MemTotal")),
        ("SwapUsed", "SwapUsedPercent", swap_used, of("SwapTotal")),
    ] {
        let Some(used) = used else { continue };
        message.double(name, "kB", used as f64);
        if let Some(total) = total.filter(|total| *total > 0) {
            message.double(percent, "%", used as f64 * 100.0 / total as f64);
        }
    }
    message.string("FilePath", "", path.as_bytes());
    finish(message);
}

pub(super) fn put_uptime(report: &mut Report<'_>) {
    let Some(text) = report.proc("uptime") else { return };
    let Some(seconds) = text.split_ascii_whitespace().next().and_then(|word| word.parse().ok())
    else {
        return;
    };
    let seconds: f64 = seconds;
    #[allow(clippy::cast_possible_truncation, reason = "a time since the start is small")]
    let started = report.time.div_euclid(1_000_000_000) - seconds as i64;
    let mut message = report.begin("stats.uptime");
    message.double("uptime", "s", seconds).integer("boot_time", "s", started);
    finish(message);
}

pub(super) fn put_files(report: &mut Report<'_>) {
    let Some(text) = report.proc("sys/fs/file-nr") else { return };
    let numbers: Vec<u64> =
        text.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let [open, unused, largest] = numbers[..] else { return };
    let inodes = report.proc("sys/fs/inode-nr");
    let mut message = report.begin("stats.files");
    message.integer("open", "", whole(open.saturating_sub(unused)));
    message.integer("maximum", "", whole(largest));
    if largest > 0 {
        message.double("used", "%", open as f64 * 100.0 / largest as f64);
    }
    let mut inodes = inodes.as_deref().unwrap_or("").split_ascii_whitespace();
    for name in ["inodes", "free_inodes"] {
        if let Some(count) = inodes.next().and_then(|word| word.parse().ok()) {
            message.integer(name, "", whole(count));
        }
    }
    finish(message);
}

pub(super) fn put_pressure(report: &mut Report<'_>) {
    for resource in ["cpu", "memory", "io"] {
        let Some(text) = report.proc(&format!("pressure/{resource}")) else { continue };
        let mut lines = pressure::lines(&text).peekable();
        if lines.peek().is_none() {
            continue;
        }
        let mut message = report.begin("stats.pressure");
        message.string("resource", "", resource.as_bytes());
        for line in lines {
            for (name, average) in ["avg10", "avg60", "avg300"].iter().zip(line.averages) {
                message.double(&format!("{}_{name}", line.share), "%", average);
            }
            message.integer(&format!("{}_total", line.share), "us", whole(line.total));
        }
        finish(message);
    }
}
