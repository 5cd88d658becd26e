//! A survey as people read it, and as programs do.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::journal::Amount;
use crate::journal::Finding;
use crate::journal::Survey;
use crate::journal::SurveyedReader;
use crate::stdx::duration;
use crate::stdx::rfc3339::Rfc3339;
use crate::stdx::size;

/// What is in the journal and who reads it.
pub(super) fn contents(folder: &Path, survey: &Survey) -> String {
    let mut out = String::new();
    let Survey { segments, range, times, total, ticks_and_notes, .. } = survey;
    let _ = writeln!(out, "journal   {} (id {})", folder.display(), id(survey));
    let bytes = size::text(total.bytes);
    let snapshots = size::text(survey.snapshot_bytes);
    let _ = writeln!(out, "size      {bytes} in {segments} segments, {snapshots} of snapshots");
    let (ticks, notes) = ticks_and_notes;
    let _ = writeln!(
        out,
        "entries   {} ({ticks} ticks, {notes} notes), positions {} to {}",
        total.entries, range.0, range.1
    );
    let _ = writeln!(out, "messages  {}", total.messages);
    if total.entries > 0 {
        let _ = writeln!(out, "time      {} to {}", time(times.0), time(times.1));
    }
    let _ = writeln!(out, "sources   {}", survey.sources.len());
    for (source, position, seen) in &survey.sources {
        let _ = writeln!(out, "  {source}: offset {}, at {}", position.offset, time(*seen));
    }
    let _ = writeln!(out, "readers   {}", survey.readers.len());
    for reader in &survey.readers {
        let _ = writeln!(out, "  {}", reader_line(reader));
    }
    out + &remarks(survey)
}

/// What is damaged, and what else there is to say.
pub(super) fn remarks(survey: &Survey) -> String {
    let mut out = String::new();
    for finding in &survey.damages {
        let Finding { path, at, bytes, what, lost } = finding;
        let lost = match lost {
            None => String::new(),
            Some((first, last)) if first == last => format!(", entry {first} is lost"),
            Some((first, last)) => format!(", entries {first} to {last} are lost"),
        };
        let path = path.display();
        let _ = writeln!(out, "damaged: {path}: {what}, {bytes} bytes at {at}{lost}");
    }
    for remark in &survey.remarks {
        let _ = writeln!(out, "note: {remark}");
    }
    out
}

/// All of it as one object.
pub(super) fn as_json(folder: &Path, survey: &Survey) -> Value {
    let Survey { segments, range, times, total, ticks_and_notes, .. } = survey;
    let sources = survey.sources.iter().map(|(source, position, seen)| {
        let detail = String::from_utf8_lossy(&position.detail);
        json!({"name": &**source, "offset": position.offset, "detail": detail, "time": time(*seen)})
    });
    let readers = survey.readers.iter().map(|reader| {
        json!({
            "name": reader.name,
            "position": reader.position.0,
            "keeps": if reader.is_snapshot { "snapshot" } else { "cursor" },
            "retired": reader.is_retired,
            "behind": amount(reader.behind),
            "behind_seconds": reader.behind_time as f64 / 1e9,
        })
    });
    let damages = survey.damages.iter().map(|finding| {
        json!({
            "file": finding.path.to_string_lossy(),
            "offset": finding.at,
            "bytes": finding.bytes,
            "what": finding.what,
            "lost": finding.lost.map(|(first, last)| [first.0, last.0]),
        })
    });
    json!({
        "path": folder.to_string_lossy(),
        "id": id(survey),
        "segments": segments,
        "first": range.0.0,
        "last": range.1.0,
        "first_time": (total.entries > 0).then(|| time(times.0)),
        "last_time": (total.entries > 0).then(|| time(times.1)),
        "total": amount(*total),
        "ticks": ticks_and_notes.0,
        "notes": ticks_and_notes.1,
        "snapshot_bytes": survey.snapshot_bytes,
        "sources": sources.collect::<Vec<_>>(),
        "readers": readers.collect::<Vec<_>>(),
        "damages": damages.collect::<Vec<_>>(),
        "remarks": survey.remarks,
    })
}

fn amount(amount: Amount) -> Value {
    json!({"entries": amount.entries, "messages": amount.messages, "bytes": amount.bytes})
}

fn reader_line(reader: &SurveyedReader) -> String {
    let SurveyedReader { name, position, behind, .. } = reader;
    let keeps = if reader.is_snapshot { "snapshot" } else { "cursor" };
    let retired = if reader.is_retired { ", holds nothing back" } else { "" };
    let lag = if behind.entries == 0 {
        "at the end".to_owned()
    } else {
        let age = Duration::from_nanos(reader.behind_time.unsigned_abs());
        // A span for people: no finer than milliseconds.
        let age = Duration::from_millis(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        format!(
            "behind by {} messages, {}, {}",
            behind.messages,
            size::text(behind.bytes),
            duration::text(age)
        )
    };
    format!("{name}: {keeps} at {position}, {lag}{retired}")
}

fn id(survey: &Survey) -> String {
    survey.id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn time(nanoseconds: i64) -> String {
    let mut text = Vec::new();
    Rfc3339::default().put(nanoseconds, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
