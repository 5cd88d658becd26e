//! Small files below `base_dir` that are whole or not there.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use serde::de::DeserializeOwned;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;
/// The longest name of a file, without its ending.
const MAX_NAME: usize = 200;

/// The files of a folder by the names that [`encoded`] was given.
pub(super) fn list(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let paths = files.flatten().map(|file| file.path());
    let named = paths.filter_map(|path| {
        let is_whole = path.extension().is_some_and(|extension| extension == "json");
        let name = decoded(path.file_stem()?.to_str()?)?;
        is_whole.then_some((name, path))
    });
    named.collect()
}

pub(super) fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let shown = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(shown)?;
    file.take(MAX_BYTES).read_to_end(&mut bytes).with_context(shown)?;
    serde_json::from_slice(&bytes).with_context(shown)
}

/// Writes a file that only its owner reads; where that need not outlive a power cut, without a sync.
pub(super) fn write(path: &Path, bytes: &[u8], is_durable: bool) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    if is_durable {
        file.sync_all()?;
    }
    fs::rename(&unfinished, path)?;
    if is_durable {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Puts a file in the place of another, durably.
pub(in crate::pipeline) fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write(path, bytes, true).with_context(|| format!("cannot write {}", path.display()))
}

/// A name as a file can have it: what is no letter, digit, `-` or `_` as `%2F`.
pub(in crate::pipeline) fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        if text.len() >= MAX_NAME {
            break;
        }
    }
    text
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first == b'%' {
            let (digits, behind) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = behind;
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_through_a_file_name() {
        for name in ["count", "a/b", "../x", "ä b", "100%", "a.b"] {
            let file = encoded(name);
            assert!(!file.contains('/') && !file.contains('.'), "{file}");
            assert_eq!(decoded(&file).as_deref(), Some(name));
        }
    }
}
