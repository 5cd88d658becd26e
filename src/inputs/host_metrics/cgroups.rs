//! Control groups, of both versions.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use super::look::Report;
use super::look::finish;
use super::look::per_second;
use super::look::read;
use super::look::whole;

/// How many groups are told of.
const MAX_GROUPS: usize = 1_000;

/// What the groups had taken of the processors at the last look, in microseconds, by path.
pub(super) type Seen = BTreeMap<String, u64>;

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    /// In microseconds.
    cpu: Option<u64>,
    /// In bytes.
    memory: Option<u64>,
    memory_limit: Option<u64>,
    processes: Option<u64>,
}

pub(super) fn put(seen: &mut Seen, report: &mut Report<'_>) {
    let root = report.settings.sys_path.join("fs/cgroup");
    let depth = report.settings.cgroup_depth;
    let mut groups = BTreeMap::new();
    if root.join("cgroup.controllers").exists() {
        walk(&root, depth, &mut |path, name| {
            groups.insert(name.to_owned(), of_second_version(path));
        });
    } else {
        for controller in ["memory", "cpuacct", "pids"] {
            walk(&root.join(controller), depth, &mut |path, name| {
                add_first_version(path, groups.entry(name.to_owned()).or_default());
            });
        }
    }
    let elapsed = report.elapsed;
    let mut now = Seen::new();
    for (name, group) in groups {
        if group == Group::default() {
            continue;
        }
        let mut message = report.begin("stats.cgroup");
        message.string("path", "", name.as_bytes());
        if let Some(cpu) = group.cpu {
            message.integer("cpu_total", "us", whole(cpu));
            if let (Some(before), Some(elapsed)) = (seen.get(&name), elapsed) {
                message.double("cpu", "%", per_second(*before, cpu, elapsed) / 10_000.0);
            }
            now.insert(name, cpu);
        }
        for (field, unit, count) in [
            ("memory", "B", group.memory),
            ("memory_limit", "B", group.memory_limit),
            ("processes", "", group.processes),
        ] {
            if let Some(count) = count {
                message.integer(field, unit, whole(count));
            }
        }
        finish(message);
    }
    *seen = now;
}

/// Visits the groups from `root` on, each with its path as the kernel calls it: `/`, `/user.slice`.
fn walk(root: &Path, depth: usize, visit: &mut dyn FnMut(&Path, &str)) {
    let mut left: Vec<(PathBuf, String, usize)> = vec![(root.to_owned(), String::new(), 0)];
    let mut visited = 0;
    while let Some((path, name, level)) = left.pop() {
        visited += 1;
        if visited > MAX_GROUPS || !path.is_dir() {
            continue;
        }
        visit(&path, if name.is_empty() { "/" } else { &name });
        if level == depth {
            continue;
        }
        for entry in std::fs::read_dir(&path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let below = format!("{name}/{}", entry.file_name().to_string_lossy());
                left.push((entry.path(), below, level + 1));
            }
        }
    }
}

fn number(path: &Path) -> Option<u64> {
    read(path)?.trim().parse().ok()
}

fn of_second_version(path: &Path) -> Group {
    let cpu = read(&path.join("cpu.stat"));
    let cpu = cpu.as_deref().and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("usage_usec "))?.trim().parse().ok()
    });
    Group {
        cpu,
        memory: number(&path.join("memory.current")),
        // `max` is no limit.
        memory_limit: number(&path.join("memory.max")),
        processes: number(&path.join("pids.current")),
    }
}

fn add_first_version(path: &Path, group: &mut Group) {
    let nanoseconds = number(&path.join("cpuacct.usage"));
    group.cpu = group.cpu.or(nanoseconds.map(|nanoseconds| nanoseconds / 1_000));
    group.memory = group.memory.or(number(&path.join("memory.usage_in_bytes")));
    // A limit that nobody has set is as large as can be.
    let limit = number(&path.join("memory.limit_in_bytes")).filter(|limit| *limit < 1 << 62);
    group.memory_limit = group.memory_limit.or(limit);
    group.processes = group.processes.or(number(&path.join("pids.current")));
}
