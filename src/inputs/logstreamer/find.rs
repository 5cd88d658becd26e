//! Finding the file again in which reading stopped.
//!
//! In this order:
//!
//! 1. The file with the same inode, where the bytes before the place are still the same.
//! 2. Any file of the stream with these bytes in that place: it was copied, compressed or moved to
//!    another file system.
//! 3. It is gone. Reading goes on with the oldest file that was written to since, or that has its
//!    inode and something else in it: it was truncated or made anew. What is older has been read;
//!    what is as old to the clock tick may not have been.

use super::place::Place;
use super::reader::Reader;
use super::scan::LogFile;

/// How much more than its own size a compressed file can hold at the very most.
const MOST_COMPRESSION: u64 = 1_100;

/// Where to go on.
pub(super) enum Found {
    /// In this file of the listing, which the reader has open there.
    Here(usize, Reader),
    /// At the start of this file of the listing.
    Next(usize),
    /// All that there is has been read.
    Nowhere,
}

/// Finds the place `offset` of the file that `place` names.
pub(super) fn find(place: &Place, offset: u64, files: &[LogFile]) -> Found {
    let same = files.iter().position(|file| file.identity == place.identity());
    if let Some((index, reader)) = same.and_then(|index| {
        let reader = reopen(place, offset, &files[index])?;
        Some((index, reader))
    }) {
        return Found::Here(index, reader);
    }
    if let Some(index) = by_content(place, files)
        && let Some(reader) = reopen(place, offset, &files[index])
    {
        return Found::Here(index, reader);
    }
    let is_unread =
        |(index, file): &(usize, &LogFile)| file.modified >= place.modified || Some(*index) == same;
    match files.iter().enumerate().find(is_unread) {
        Some((index, _)) => Found::Next(index),
        None => Found::Nowhere,
    }
}

/// The file that has the bytes before `place` where they were, under another inode.
pub(super) fn by_content(place: &Place, files: &[LogFile]) -> Option<usize> {
    if place.read == 0 {
        return None;
    }
    let others = || files.iter().enumerate().filter(|(_, file)| file.identity != place.identity());
    let holds = |file: &LogFile| reopen(place, place.read, file).is_some();
    // A plain file costs one small read, a compressed one is to be read up to the place.
    let is_plain = |file: &LogFile| file.path.extension().is_none_or(|name| name != "gz");
    let plain = others().find(|(_, file)| is_plain(file) && holds(file));
    let found = plain.or_else(|| {
        let is_long_enough =
            |file: &LogFile| file.size.saturating_mul(MOST_COMPRESSION) >= place.read;
        others().find(|(_, file)| !is_plain(file) && is_long_enough(file) && holds(file))
    });
    found.map(|(index, _)| index)
}

/// Opens `file` at `offset` if it is the one that `place` was written of.
fn reopen(place: &Place, offset: u64, file: &LogFile) -> Option<Reader> {
    let mut reader = Reader::open(&file.path).ok()?;
    if !reader.advance(place.read).ok()? || !place.follows(reader.tail()) {
        return None;
    }
    if reader.offset() > offset {
        reader = Reader::open(&file.path).ok()?;
        reader.advance(offset).ok()?;
    } else if !reader.advance(offset).ok()? {
        return None;
    }
    Some(reader)
}
