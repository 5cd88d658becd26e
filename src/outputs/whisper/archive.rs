//! A file of Whisper, as Graphite reads it.
//!
//! All numbers are in network order. A header, one entry for each archive, and the archives, each a ring
//! of points, finest first:
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | how points become one of the next archive: 1 average, 2 sum, 3 last, 4 max, 5 min |
//! | 4 | how long the longest archive reaches back, in seconds |
//! | 4 | which part of the points has to be there for that, a float |
//! | 4 | how many archives |
//! | 12 each | offset of the archive, seconds a point, points |
//! | 12 each | time of a point, in seconds, and its value, a double |
//!
//! A point stands in its ring as far behind the first one as its time says; one whose time is not the
//! expected one is of an earlier round and counts as none.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::Context;

const HEADER: usize = 16;
const ARCHIVE: usize = 12;
const POINT: u64 = 12;
const POINT_BYTES: usize = 12;
/// More archives than this are taken for damage.
const MAX_ARCHIVES: u32 = 64;

/// How points become one of the next archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregation {
    Average = 1,
    Sum,
    Last,
    Max,
    Min,
}

impl Aggregation {
    /// The method of this number.
    pub(super) fn numbered(number: u32) -> Option<Aggregation> {
        Some(match number {
            1 => Aggregation::Average,
            2 => Aggregation::Sum,
            3 => Aggregation::Last,
            4 => Aggregation::Max,
            5 => Aggregation::Min,
            _ => return None,
        })
    }

    fn of(self, values: &[f64]) -> f64 {
        match self {
            Aggregation::Average => values.iter().sum::<f64>() / values.len() as f64,
            Aggregation::Sum => values.iter().sum(),
            Aggregation::Last => values.last().copied().unwrap_or(0.0),
            Aggregation::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Aggregation::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        }
    }
}

/// A ring of points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ring {
    pub(super) seconds: u32,
    pub(super) points: u32,
}

impl Ring {
    /// How far it reaches back, in seconds.
    pub(super) fn reach(self) -> u64 {
        u64::from(self.seconds) * u64::from(self.points)
    }
}

/// What is in a file, and where.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    aggregation: Aggregation,
    /// The part of the points that has to be there.
    quorum: f32,
    rings: Vec<(u64, Ring)>,
}

/// Finds what makes rings useless together; gives them finest first.
pub(super) fn sorted(mut rings: Vec<Ring>) -> anyhow::Result<Vec<Ring>> {
    rings.sort_by_key(|ring| ring.seconds);
    anyhow::ensure!(!rings.is_empty(), "there is no archive");
    for ring in &rings {
        anyhow::ensure!(ring.seconds > 0 && ring.points > 0, "an archive has no points");
    }
    for pair in rings.windows(2) {
        let (fine, coarse) = (pair[0], pair[1]);
        let (a, b) = (fine.seconds, coarse.seconds);
        anyhow::ensure!(a != b, "two archives have {a} s a point");
        anyhow::ensure!(b % a == 0, "{b} s a point is no multiple of {a} s");
        anyhow::ensure!(
            coarse.reach() > fine.reach(),
            "the archive with {b} s a point reaches back no further than that with {a} s"
        );
        anyhow::ensure!(
            fine.points >= b / a,
            "the archive with {a} s a point has too few for one of {b} s"
        );
    }
    Ok(rings)
}

impl Archive {
    /// Writes the header of a new file and makes room for all points.
    pub(super) fn create(
        file: File,
        aggregation: Aggregation,
        quorum: f32,
        rings: &[Ring],
    ) -> std::io::Result<Archive> {
        let mut header = Vec::new();
        let longest = rings.iter().map(|ring| ring.reach()).max().unwrap_or(0);
        header.extend_from_slice(&(aggregation as u32).to_be_bytes());
        header.extend_from_slice(&u32::try_from(longest).unwrap_or(u32::MAX).to_be_bytes());
        header.extend_from_slice(&quorum.to_be_bytes());
        let count = u32::try_from(rings.len()).unwrap_or(MAX_ARCHIVES);
        header.extend_from_slice(&count.to_be_bytes());
        let mut offset = (HEADER + ARCHIVE * rings.len()) as u64;
        let mut placed = Vec::new();
        for ring in rings {
            let start = u32::try_from(offset).map_err(|_| std::io::ErrorKind::FileTooLarge)?;
            for number in [start, ring.seconds, ring.points] {
                header.extend_from_slice(&number.to_be_bytes());
            }
            placed.push((offset, *ring));
            offset += u64::from(ring.points) * POINT;
        }
        file.set_len(offset)?;
        file.write_all_at(&header, 0)?;
        Ok(Archive { file, aggregation, quorum, rings: placed })
    }

    /// Reads the header of a file.
    pub(super) fn open(file: File) -> anyhow::Result<Archive> {
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0).context("it has no header")?;
        let number = |at: usize| u32::from_be_bytes(bytes(&header[at..]));
        let aggregation = Aggregation::numbered(number(0));
        let aggregation = aggregation.context("its way of aggregation is not known")?;
        let count = number(12);
        anyhow::ensure!((1..=MAX_ARCHIVES).contains(&count), "it has {count} archives");
        let size = file.metadata()?.len();
        let mut rings = Vec::new();
        for index in 0..u64::from(count) {
            let mut entry = [0; ARCHIVE];
            file.read_exact_at(&mut entry, HEADER as u64 + index * ARCHIVE as u64)?;
            let number = |at: usize| u32::from_be_bytes(bytes(&entry[at..]));
            let (offset, ring) =
                (u64::from(number(0)), Ring { seconds: number(4), points: number(8) });
            let end = offset + u64::from(ring.points) * POINT;
            anyhow::ensure!(ring.seconds > 0 && ring.points > 0 && end <= size, "it is cut off");
            rings.push((offset, ring));
        }
        let quorum = f32::from_be_bytes(bytes(&header[8..]));
        Ok(Archive { file, aggregation, quorum, rings })
    }

    /// Stores a point in the finest archive that reaches back to it, and what becomes of it in the
    /// coarser ones; `false` when it is older than all of them or in the future.
    pub(super) fn store(&self, time: u64, value: f64, now: u64) -> std::io::Result<bool> {
        if time > now + 60 {
            return Ok(false);
        }
        let age = now.saturating_sub(time);
        let Some(first) = self.rings.iter().position(|(_, ring)| ring.reach() > age) else {
            return Ok(false);
        };
        let seconds = u64::from(self.rings[first].1.seconds);
        self.put(first, time / seconds * seconds, value)?;
        for coarse in first + 1..self.rings.len() {
            if !self.roll_up(coarse - 1, coarse, time)? {
                break;
            }
        }
        Ok(true)
    }

    /// Makes the point of `coarse` at `time` from those of `fine`; `false` when too few are there.
    fn roll_up(&self, fine: usize, coarse: usize, time: u64) -> std::io::Result<bool> {
        let (step, seconds) =
            (u64::from(self.rings[fine].1.seconds), u64::from(self.rings[coarse].1.seconds));
        let start = time / seconds * seconds;
        let mut values = Vec::new();
        for at in (start..start + seconds).step_by(usize::try_from(step).unwrap_or(1)) {
            values.extend(self.value(fine, at)?);
        }
        let wanted = seconds as f64 / step as f64 * f64::from(self.quorum);
        if values.is_empty() || (values.len() as f64) < wanted {
            return Ok(false);
        }
        self.put(coarse, start, self.aggregation.of(&values))?;
        Ok(true)
    }

    fn put(&self, ring: usize, time: u64, value: f64) -> std::io::Result<()> {
        let mut point = [0; POINT_BYTES];
        point[..4].copy_from_slice(&u32::try_from(time).unwrap_or(0).to_be_bytes());
        point[4..].copy_from_slice(&value.to_be_bytes());
        self.file.write_all_at(&point, self.place(ring, time)?)
    }

    /// The value at `time`, where there is one.
    pub(super) fn value(&self, ring: usize, time: u64) -> std::io::Result<Option<f64>> {
        let (at, value) = self.point(self.place(ring, time)?)?;
        Ok((at == time).then_some(value))
    }

    fn point(&self, offset: u64) -> std::io::Result<(u64, f64)> {
        let mut point = [0; POINT_BYTES];
        self.file.read_exact_at(&mut point, offset)?;
        let time = u32::from_be_bytes(bytes(&point));
        Ok((time.into(), f64::from_be_bytes(bytes(&point[4..]))))
    }

    /// Where the point of `time` stands: counted from the one that was first in the ring.
    fn place(&self, ring: usize, time: u64) -> std::io::Result<u64> {
        let (offset, Ring { seconds, points }) = self.rings[ring];
        let (first, _) = self.point(offset)?;
        if first == 0 {
            return Ok(offset);
        }
        let distance = (i128::from(time) - i128::from(first)) / i128::from(seconds);
        let slot = distance.rem_euclid(i128::from(points));
        Ok(offset + u64::try_from(slot).unwrap_or(0) * POINT)
    }

    /// Makes certain what was stored.
    pub(super) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}

/// The first bytes of a slice that is long enough.
fn bytes<const N: usize>(slice: &[u8]) -> [u8; N] {
    let mut found = [0; N];
    found.copy_from_slice(&slice[..N]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(aggregation: Aggregation, rings: &[(u32, u32)]) -> Archive {
        let rings: Vec<_> = rings
            .iter()
            .map(|(seconds, points)| Ring { seconds: *seconds, points: *points })
            .collect();
        Archive::create(tempfile::tempfile().unwrap(), aggregation, 0.5, &rings).unwrap()
    }

    #[test]
    fn points_are_found_again_and_old_ones_make_room() {
        let archive = archive(Aggregation::Average, &[(10, 6)]);
        for number in 0..9 {
            let time = 1000 + number * 10;
            assert!(archive.store(time + 3, number as f64, time + 5).unwrap());
        }
        assert_eq!(archive.value(0, 1080).unwrap(), Some(8.0));
        assert_eq!(archive.value(0, 1030).unwrap(), Some(3.0));
        assert_eq!(archive.value(0, 1020).unwrap(), None);
        assert!(!archive.store(1000, 1.0, 1100).unwrap());
        assert!(!archive.store(2000, 1.0, 1100).unwrap());
    }

    #[test]
    fn coarser_archives_follow() {
        for (aggregation, expected) in [
            (Aggregation::Average, 2.5),
            (Aggregation::Sum, 10.0),
            (Aggregation::Last, 4.0),
            (Aggregation::Max, 4.0),
            (Aggregation::Min, 1.0),
        ] {
            let archive = archive(aggregation, &[(10, 12), (60, 10)]);
            for number in 1..=4_u32 {
                let time = 1200 + u64::from(number) * 10;
                archive.store(time, f64::from(number), time).unwrap();
                let rolled = archive.value(1, 1200).unwrap();
                assert_eq!(rolled.is_some(), number >= 3, "{aggregation:?}");
            }
            assert_eq!(archive.value(1, 1200).unwrap(), Some(expected));
        }
    }

    #[test]
    fn a_file_is_read_as_it_was_made_and_damage_is_told() {
        let made = archive(Aggregation::Sum, &[(1, 60), (60, 60)]);
        let read = Archive::open(made.file.try_clone().unwrap()).unwrap();
        assert_eq!((read.aggregation, read.rings), (made.aggregation, made.rings));
        made.file.set_len(100).unwrap();
        assert!(Archive::open(made.file.try_clone().unwrap()).is_err());
        made.file.set_len(0).unwrap();
        assert!(Archive::open(made.file).is_err());
    }

    #[test]
    fn rings_have_to_go_together() {
        let check = |rings: &[(u32, u32)]| {
            let rings =
                rings.iter().map(|(seconds, points)| Ring { seconds: *seconds, points: *points });
            sorted(rings.collect()).map_err(|error| error.to_string())
        };
        assert!(check(&[(60, 1440), (900, 200)]).is_ok());
        assert!(check(&[]).is_err());
        assert!(check(&[(60, 1440), (100, 2000)]).unwrap_err().contains("no multiple"));
        assert!(check(&[(60, 1440), (900, 8)]).unwrap_err().contains("reaches back no further"));
        assert!(check(&[(1, 10), (60, 60)]).unwrap_err().contains("too few"));
    }
}
