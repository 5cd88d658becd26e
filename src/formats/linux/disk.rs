//! `/proc/diskstats` and `/sys/block/DISK/stat`: what was read and written since the start.

/// The columns, with the names that Heka gave them; times in milliseconds, sectors of 512 bytes.
pub const COLUMNS: [&str; 11] = [
    "ReadsCompleted",
    "ReadsMerged",
    "SectorsRead",
    "TimeReading",
    "WritesCompleted",
    "WritesMerged",
    "SectorsWritten",
    "TimeWriting",
    "NumIOInProgress",
    "TimeDoingIO",
    "WeightedTimeDoingIO",
];
/// Bytes in a sector, whatever those of the disk have.
pub const SECTOR: u64 = 512;

/// A disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk<'a> {
    /// What it is called; empty in a file of `/sys`.
    pub device: &'a str,
    /// The numbers of [`COLUMNS`].
    pub counts: [u64; 11],
}

impl Disk<'_> {
    /// Whether it is a disk that was used, and no partition, loop or part of memory.
    #[must_use]
    pub fn is_whole_and_used(&self) -> bool {
        is_whole(self.device) && self.counts[0] + self.counts[4] > 0
    }
}

/// Goes through the disks, partitions too.
pub fn disks(text: &str) -> impl Iterator<Item = Disk<'_>> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace().peekable();
        let is_named = line.split_ascii_whitespace().nth(2)?.parse::<u64>().is_err();
        let device = if is_named { words.nth(2)? } else { "" };
        let mut counts = [0; 11];
        for count in &mut counts {
            *count = words.next()?.parse().ok()?;
        }
        Some(Disk { device, counts })
    })
}

fn is_whole(device: &str) -> bool {
    let ends_in_digit = device.ends_with(|last: char| last.is_ascii_digit());
    if device.starts_with("nvme") || device.starts_with("mmcblk") {
        let number = device.trim_end_matches(|digit: char| digit.is_ascii_digit());
        return !(ends_in_digit && number.ends_with('p'));
    }
    if ["sd", "hd", "vd", "xvd"].iter().any(|start| device.starts_with(start)) {
        return !ends_in_digit;
    }
    !["loop", "ram", "zram", "fd"].iter().any(|start| device.starts_with(start))
}
