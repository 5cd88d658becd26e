//! Interfaces, protocols and connections.

use std::collections::BTreeMap;

use super::look::Report;
use super::look::finish;
use super::look::per_second;
use super::look::whole;
use crate::formats::linux::network;

/// The counts of the last look, by interface.
pub(super) type Seen = BTreeMap<String, [u64; 16]>;

pub(super) fn put_interfaces(seen: &mut Seen, report: &mut Report<'_>) {
    if let Some(text) = report.proc("net/dev") {
        put_devices(&text, seen, report);
    }
    let files = ["net/snmp", "net/netstat"].map(|file| (file, report.proc(file)));
    for (file, text) in files {
        let Some(text) = text else { continue };
        let path = report.path(file);
        let mut message = report.begin("stats.netstat");
        for (protocol, name, count) in network::protocols(&text) {
            message.integer(&format!("{protocol}_{name}"), "", count);
        }
        message.string("FilePath", "", path.as_bytes());
        finish(message);
    }
}

fn put_devices(text: &str, seen: &mut Seen, report: &mut Report<'_>) {
    let path = report.path("net/dev");
    let elapsed = report.elapsed;
    let mut now = Seen::new();
    for interface in network::interfaces(text) {
        let mut message = report.begin("stats.netdev");
        message.string("netdevice", "", interface.name.as_bytes());
        for (name, count) in network::COLUMNS.iter().zip(interface.counts) {
            let unit = if name.ends_with("_bytes") { "B" } else { "" };
            message.integer(name, unit, whole(count));
        }
        if let (Some(before), Some(elapsed)) = (seen.get(interface.name), elapsed) {
            for column in [0, 1, 2, 3, 8, 9, 10, 11] {
                let name = network::COLUMNS[column];
                let unit = if name.ends_with("_bytes") { "B/s" } else { "1/s" };
                let rate = per_second(before[column], interface.counts[column], elapsed);
                message.double(&format!("{name}_per_second"), unit, rate);
            }
        }
        message.string("FilePath", "", path.as_bytes());
        finish(message);
        now.insert(interface.name.to_owned(), interface.counts);
    }
    *seen = now;
}

pub(super) fn put_connections(report: &mut Report<'_>) {
    let texts: Vec<String> =
        ["net/tcp", "net/tcp6"].into_iter().filter_map(|file| report.proc(file)).collect();
    if texts.is_empty() {
        return;
    }
    let mut counts = [0; 12];
    for text in &texts {
        network::count_states(text, &mut counts);
    }
    let sockets = report.proc("net/sockstat").unwrap_or_default();
    let mut message = report.begin("stats.tcp");
    for (name, count) in network::STATES.iter().zip(counts) {
        message.integer(name, "", whole(count));
    }
    // TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 1
    let tcp = sockets.lines().find_map(|line| line.strip_prefix("TCP: ")).unwrap_or_default();
    let words: Vec<&str> = tcp.split_ascii_whitespace().collect();
    for pair in words.chunks_exact(2) {
        let name = match pair[0] {
            "orphan" => "orphaned",
            "alloc" => "allocated",
            "mem" => "memory_pages",
            _ => continue,
        };
        if let Ok(count) = pair[1].parse() {
            message.integer(name, "", whole(count));
        }
    }
    finish(message);
}
