//! A file of snapshots: states of filters, many in one.
//!
//! A file `<number>.snapshots` in the folder `snapshots` gets its name when it is whole and synced.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | magic `HEKASNAP` |
//! | 4 | version of the format, 1 |
//! | 4 | CRC32 of what follows up to the first state |
//! | 4 | bytes of what follows up to the first state |
//! | 16 | id of the journal |
//! | 8 | when it was stored, wall clock, nanoseconds since the epoch |
//! | | varint count, then for each state: reader (varint length, name), position (8), bytes (8), CRC32 of the state (4) |
//! | | the states, one after the other |

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;

use super::Error;
use super::encoding::Cut;
use super::encoding::put_prefixed;
use super::encoding::put_varint;
use super::entry::Position;
use super::files;
use super::snapshots::Snapshot;
use super::survey;
use super::survey::Finding;
use super::walk::read_at;

const MAGIC: [u8; 8] = *b"HEKASNAP";
const VERSION: u32 = 1;
const FIXED: usize = 20;

/// Where a state lies.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) reader: String,
    pub(super) position: Position,
    pub(super) at: u64,
    pub(super) bytes: u64,
    pub(super) crc: u32,
}

/// A file of states.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) time: i64,
    pub(super) bytes: u64,
    pub(super) states: Vec<Kept>,
}

/// What lies in a folder of snapshots, looked at without changing it.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// How far the newest sound state of each reader goes.
    pub(super) newest: HashMap<String, Position>,
    pub(super) bytes: u64,
    pub(super) damages: Vec<Finding>,
}

/// Reads every state in `folder`.
pub(super) fn look(folder: &Path) -> Result<Looked, Error> {
    let failed = |error| Error::io("read the snapshots", error);
    let mut looked = Looked::default();
    let mut paths = files::list(folder, "snapshots").map_err(failed)?;
    paths.sort();
    for path in paths {
        let (Some(file), Some(head)) =
            (survey::open_if_there(&path).map_err(failed)?, gone_is_none(read_head(&path))?)
        else {
            continue;
        };
        let Some((_, stored)) = head else {
            looked.damages.push(survey::whole_file(&path, "a file of snapshots"));
            continue;
        };
        looked.bytes += stored.bytes;
        for kept in stored.states {
            if read_state(&file, &kept).map_err(failed)?.is_some() {
                looked.newest.insert(kept.reader, kept.position);
                continue;
            }
            looked.damages.push(Finding {
                path: path.clone(),
                at: kept.at,
                bytes: kept.bytes,
                what: format!("the snapshot of {} at {}", kept.reader, kept.position),
                lost: None,
            });
        }
    }
    Ok(looked)
}

/// Writes the file at `path` anew without the states that are damaged; removes it where none is
/// left.
pub(super) fn without_damage(path: &Path) -> Result<(), Error> {
    let failed = |error| Error::io("repair the snapshots", error);
    let Some((id, stored)) = read_head(path).map_err(failed)? else {
        return files::remove(path).map_err(failed);
    };
    let file = File::open(path).map_err(failed)?;
    let mut sound = Vec::new();
    for kept in stored.states {
        if let Some(state) = read_state(&file, &kept).map_err(failed)? {
            let Kept { reader, position, .. } = kept;
            sound.push(Snapshot { reader, position, state: Some(state) });
        }
    }
    if sound.is_empty() {
        return files::remove(path).map_err(failed);
    }
    let (head, _) = encode(&id, stored.time, &sound.iter().collect::<Vec<_>>())?;
    let mut parts = vec![&head[..]];
    parts.extend(sound.iter().map(|snapshot| snapshot.state.as_deref().unwrap_or_default()));
    files::replace(path, &parts).map_err(failed)
}

/// A file may be gone that was listed.
fn gone_is_none<T>(read: io::Result<T>) -> Result<Option<T>, Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read the snapshots", error)),
    }
}

/// Reads a state; nothing when it is damaged.
pub(super) fn read_state(file: &File, kept: &Kept) -> io::Result<Option<Vec<u8>>> {
    let mut state = vec![0; usize::try_from(kept.bytes).unwrap_or(0)];
    let read = read_at(file, &mut state, kept.at)?;
    Ok((read == state.len() && crc32fast::hash(&state) == kept.crc).then_some(state))
}

/// The head of a file with these states, and where each of them will lie.
pub(super) fn encode(
    id: &[u8; 16],
    time: i64,
    snapshots: &[&Snapshot],
) -> Result<(Vec<u8>, Vec<Kept>), Error> {
    let mut table = Vec::new();
    let mut kept = Vec::with_capacity(snapshots.len());
    put_varint(&mut table, snapshots.len() as u64);
    for snapshot in snapshots {
        let state = snapshot.state.as_deref().unwrap_or_default();
        let crc = crc32fast::hash(state);
        put_prefixed(&mut table, snapshot.reader.as_bytes());
        table.extend_from_slice(&snapshot.position.0.to_le_bytes());
        table.extend_from_slice(&(state.len() as u64).to_le_bytes());
        table.extend_from_slice(&crc.to_le_bytes());
        kept.push(Kept {
            reader: snapshot.reader.clone(),
            position: snapshot.position,
            at: 0,
            bytes: state.len() as u64,
            crc,
        });
    }
    let head = encode_head(id, time, &table)?;
    let mut at = head.len() as u64;
    for kept in &mut kept {
        kept.at = at;
        at += kept.bytes;
    }
    Ok((head, kept))
}

fn encode_head(id: &[u8; 16], time: i64, table: &[u8]) -> Result<Vec<u8>, Error> {
    let length = 24 + table.len();
    let narrow = u32::try_from(length)
        .map_err(|_| Error::TooMany { what: "snapshots", most: u32::MAX as usize })?;
    let mut out = Vec::with_capacity(FIXED + length);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&narrow.to_le_bytes());
    out.extend_from_slice(id);
    out.extend_from_slice(&time.to_le_bytes());
    out.extend_from_slice(table);
    let crc = crc32fast::hash(&out[FIXED..]);
    out[12..16].copy_from_slice(&crc.to_le_bytes());
    Ok(out)
}

pub(super) fn read_head(path: &Path) -> io::Result<Option<([u8; 16], Stored)>> {
    let file = File::open(path)?;
    let total = file.metadata()?.len();
    let mut fixed = [0; FIXED];
    if read_at(&file, &mut fixed, 0)? < FIXED || fixed[..8] != MAGIC {
        return Ok(None);
    }
    let mut from = Cut::new(&fixed[8..]);
    let (version, crc, length) = (from.u32(), from.u32(), from.u32());
    let (Some(VERSION), Some(crc), Some(length)) = (version, crc, length) else { return Ok(None) };
    if u64::from(length) + FIXED as u64 > total {
        return Ok(None);
    }
    let mut head = vec![0; length as usize];
    read_at(&file, &mut head, FIXED as u64)?;
    if crc32fast::hash(&head) != crc {
        return Ok(None);
    }
    Ok(decode_head(&head, total))
}

fn decode_head(head: &[u8], total: u64) -> Option<([u8; 16], Stored)> {
    let mut from = Cut::new(head);
    let journal = from.array()?;
    let time = from.u64()?.cast_signed();
    let mut at = (FIXED + head.len()) as u64;
    let mut states = Vec::new();
    for _ in 0..from.length()? {
        let reader = from.text()?.to_owned();
        let position = Position(from.u64()?);
        let bytes = from.u64()?;
        let crc = from.u32()?;
        states.push(Kept { reader, position, at, bytes, crc });
        at = at.checked_add(bytes)?;
    }
    (at <= total).then_some((journal, Stored { time, bytes: total, states }))
}
