//! Makes a damaged journal readable again, losing only what is damaged.
//!
//! What stands in damaged places is kept in the folder `damaged`, one file each, before anything is
//! written. A hole becomes a record that says what was lost, of the same size, so that nothing
//! behind it moves. A head is written anew from what the segments before it say. The end after a
//! crash is left to the next engine, which cuts it anyway.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use super::Error;
use super::entry::Position;
use super::files;
use super::layout;
use super::layout::HEADER;
use super::layout::Kind;
use super::layout::RecordTimes;
use super::layout::Stamp;
use super::open::Lock;
use super::recovery;
use super::recovery::Candidate;
use super::scan;
use super::scan::Damage;
use super::scan::Known;
use super::segment;
use super::settings::Compression;
use super::states;
use super::survey;
use super::table::Head;
use super::table::Previous;
use super::values;
use super::walk::read_at;

/// The largest record that stands for a hole, in bytes.
const LARGEST_CUT: u64 = 32 << 20;
/// The folder for what is taken out.
const DAMAGED: &str = "damaged";

/// Repairs the journal in `folder`, which belongs to engines with this `base_dir`; tells what was
/// done, one sentence each.
///
/// # Errors
/// [`Error::Locked`] while an engine runs; when a file cannot be read or written.
pub fn repair(base_dir: &Path, folder: &Path) -> Result<Vec<String>, Error> {
    let _lock = Lock::take(base_dir)?;
    let mut repairing = Repairing { folder: folder.to_owned(), done: Vec::new() };
    repairing.heads()?;
    repairing.entries()?;
    let failed = |error| Error::io("repair the journal", error);
    for finding in states::look(&folder.join("snapshots"))?.damages {
        repairing.keep(&finding.path, finding.at, finding.bytes).map_err(failed)?;
        states::without_damage(&finding.path)?;
        repairing.say(&finding.path, &format!("{} is taken out", finding.what));
    }
    for finding in values::look(&folder.join("values"))? {
        repairing.keep(&finding.path, 0, finding.bytes).map_err(failed)?;
        files::remove(&finding.path).map_err(failed)?;
        repairing.say(&finding.path, "the value is taken out");
    }
    Ok(repairing.done)
}

struct Repairing {
    folder: PathBuf,
    done: Vec<String>,
}

impl Repairing {
    /// Writes damaged heads anew.
    fn heads(&mut self) -> Result<(), Error> {
        let candidates = self.candidates()?;
        let numbers = segment::list(&self.folder).map_err(list_failed)?;
        for number in numbers {
            if candidates.iter().all(|candidate| candidate.head.segment != number) {
                let path = segment::path(&self.folder, number);
                let failed = |error| Error::segment(number, error);
                let bytes = std::fs::metadata(&path).map_err(failed)?.len();
                self.keep(&path, 0, bytes).map_err(failed)?;
                files::remove(&path).map_err(failed)?;
                self.say(&path, "the segment holds no entry and is taken out");
            }
        }
        let mut known = Known::default();
        let mut previous = Previous::default();
        for (index, candidate) in candidates.iter().enumerate() {
            let failed = |error| Error::segment(candidate.head.segment, error);
            if candidate.is_sound {
                if let Ok((_, sources, cursors)) =
                    segment::read_head(&candidate.file).map_err(failed)?
                {
                    known = Known { sources, cursors };
                }
            } else {
                let id = candidates.iter().find(|it| it.is_sound).map(|it| it.head.journal);
                let journal = id.unwrap_or(candidate.head.journal);
                let head = Head { journal, previous, ..candidate.head.clone() };
                self.head(&head, &known).map_err(failed)?;
            }
            let bounds = survey::bounds(&candidates, index);
            let scan = scan::scan(&candidate.file, bounds, &mut known).map_err(failed)?;
            let segment = candidate.head.segment;
            previous = Previous { segment, last: scan.last, used: scan.used };
        }
        Ok(())
    }

    fn head(&mut self, head: &Head, known: &Known) -> io::Result<()> {
        let path = segment::path(&self.folder, head.segment);
        let Some(encoded) = head.encode_into(head.length, &known.sources, &known.cursors) else {
            self.say(&path, "there is no room for a new head: it is read without");
            return Ok(());
        };
        self.keep(&path, 0, encoded.len() as u64)?;
        let file = OpenOptions::new().write(true).open(&path)?;
        files::write_at(&path, &file, &encoded, 0)?;
        files::sync(&path, &file)?;
        self.say(&path, "the head is written anew");
        Ok(())
    }

    /// Puts records that say so in place of what cannot be read.
    fn entries(&mut self) -> Result<(), Error> {
        let candidates = self.candidates()?;
        for (index, candidate) in candidates.iter().enumerate() {
            let failed = |error| Error::segment(candidate.head.segment, error);
            let bounds = survey::bounds(&candidates, index);
            let mut known = Known::default();
            let scan = scan::scan_with(&candidate.file, bounds, &mut known, Some(&mut |_, _| ()))
                .map_err(failed)?;
            let end = survey::missing_end(&candidates, index, &scan);
            for damage in scan.damages.iter().chain(&end) {
                self.cut(candidate, damage).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn cut(&mut self, candidate: &Candidate, damage: &Damage) -> io::Result<()> {
        let path = segment::path(&self.folder, candidate.head.segment);
        let length = candidate.file.metadata()?.len();
        let bytes = damage.bytes.min(length.saturating_sub(damage.at));
        self.keep(&path, damage.at, bytes)?;
        let file = OpenOptions::new().write(true).open(&path)?;
        let (mut at, mut left) = (damage.at, damage.bytes);
        while left >= HEADER as u64 {
            // What is left must have room for another record, or be nothing.
            let most = if left < LARGEST_CUT + HEADER as u64 { left } else { LARGEST_CUT };
            files::write_at(&path, &file, &gap(candidate, damage, most), at)?;
            (at, left) = (at + most, left - most);
        }
        files::sync(&path, &file)?;
        let Damage { first, last, bytes, .. } = damage;
        let what = match (first > last, first == last) {
            (true, _) => "no entry".to_owned(),
            (_, true) => format!("entry {first}"),
            _ => format!("entries {first} to {last}"),
        };
        self.say(&path, &format!("{bytes} bytes at {} are cut out, with {what}", damage.at));
        Ok(())
    }

    fn candidates(&self) -> Result<Vec<Candidate>, Error> {
        let mut candidates =
            recovery::candidates(&self.folder, &mut Known::default(), &mut Vec::new())?;
        recovery::drop_void(&mut candidates);
        Ok(candidates)
    }

    /// Copies a part of a file into the folder for what is damaged.
    fn keep(&self, path: &Path, at: u64, bytes: u64) -> io::Result<()> {
        let folder = self.folder.join(DAMAGED);
        files::make_folder(&folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut copy = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        let read = read_at(&File::open(path)?, &mut copy, at)?;
        files::replace(&folder.join(format!("{name}.{at}")), &[&copy[..read]])
    }

    fn say(&mut self, path: &Path, what: &str) {
        self.done.push(format!("{}: {what}", path.display()));
    }
}

fn list_failed(error: io::Error) -> Error {
    Error::io("list the segments", error)
}

/// A record of so many bytes that says up to where entries were lost.
fn gap(candidate: &Candidate, damage: &Damage, bytes: u64) -> Vec<u8> {
    let position = damage.last.max(damage.first.previous()).min(Position(u64::MAX - 1));
    let segment = candidate.head.segment;
    let stamp = Stamp { segment, durable: position, compression: Compression::None };
    let (time, engine_time) = (candidate.head.time, candidate.head.engine_time);
    let times = RecordTimes { stamp, position, time, engine_time };
    let body = vec![0; usize::try_from(bytes).unwrap_or(HEADER) - HEADER];
    let mut record = Vec::new();
    layout::write_control(&mut record, Kind::Cut, &times, &body);
    record
}
