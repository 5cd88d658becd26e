//! What the machine and the account say of themselves.

use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use nix::time::ClockId;
use nix::time::clock_gettime;

/// A start of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    /// What tells it from others: a checksum of the number that Linux draws for it, never 0.
    pub id: u32,
    /// When it was, by the clock of now.
    pub began: SystemTime,
}

/// Returns the machine's last start, where the kernel tells of it.
pub fn boot() -> Option<Boot> {
    let drawn = fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    let since = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
    let began = SystemTime::now().checked_sub(since)?;
    Some(Boot { id: crc32fast::hash(&drawn).max(1), began })
}

/// Returns the name of the machine, or `localhost` if it has none.
pub fn hostname() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

/// Returns the folder where the state of the engine goes by default: `/var/cache/hekad` for root, for
/// others `heka` in `$XDG_STATE_HOME` or in `~/.local/state`.
pub fn state_folder() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/cache/hekad");
    }
    let absolute =
        |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(env::temp_dir);
    state.join("heka")
}

/// Returns how many bytes this process has in memory, where `/proc` tells it.
pub fn resident() -> Option<u64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Returns how many bytes of memory this process may use: those of the machine, or fewer where a
/// cgroup, of either version, says so.
pub fn memory() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok();
    let machine = meminfo.and_then(|text| {
        let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(total.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    });
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group_limit(&groups, Path::new("/sys/fs/cgroup"));
    machine.into_iter().chain(group).min()
}

/// The least that the cgroups of `/proc/self/cgroup`, or those above them, allow, in bytes.
fn group_limit(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let (root, file) = if controllers.is_empty() {
            (root.to_owned(), "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            return Vec::new();
        };
        let folder = root.join(path.trim_start_matches('/'));
        let own = folder.ancestors().take_while(|above| above.starts_with(&root));
        // Seen from within, the group may be the root itself, whatever its path is called.
        own.map(|above| above.join(file)).collect()
    });
    let limits =
        limits.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
    // Version 1 says of no limit that it is the largest number of whole pages.
    limits.filter(|limit| *limit < 1 << 62).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_has_and_may_have() {
        let (resident, memory) = (resident().unwrap(), memory().unwrap());
        assert!(resident > 1 << 20 && resident < memory, "{resident} of {memory}");
    }

    #[test]
    fn the_narrowest_group_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(group_limit("0::/a/b\n", root), None);
        write("a/b/memory.max", "max\n");
        assert_eq!(group_limit("0::/a/b\n", root), None);
        write("a/memory.max", "4096\n");
        assert_eq!(group_limit("0::/a/b\n", root), Some(4096));
        write("memory/c/memory.limit_in_bytes", "9223372036854771712\n");
        let both = "3:cpu,memory:/c\n1:pids:/x\n";
        assert_eq!(group_limit(both, root), None);
        write("memory/memory.limit_in_bytes", "1000\n");
        assert_eq!(group_limit(both, root), Some(1000));
    }
}
