//! Source files as the rules see them: without comments, texts and tests.

use std::path::Path;
use std::path::PathBuf;

/// A file of Rust code.
pub(super) struct Source {
    /// Where it lies, from the root of the repository.
    pub(super) path: PathBuf,
    /// As it stands.
    pub(super) text: String,
    /// With spaces in place of comments and of what stands in quotes; line by line as the text.
    pub(super) code: String,
}

/// The root of the repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` whose name ends in `.` and `extension`, in order; none where there is
/// no such folder.
pub(super) fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path.strip_prefix(root()).unwrap_or(&path).to_path_buf());
            }
        }
    }
    found.sort();
    found
}

/// The Rust files below these folders.
pub(super) fn sources(folders: &[&str]) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in folders.iter().flat_map(|folder| files(folder, "rs")) {
        let text = std::fs::read_to_string(root().join(&path))?;
        let code = blank(&text);
        sources.push(Source { path, text, code });
    }
    anyhow::ensure!(!sources.is_empty(), "there is no Rust file in {folders:?}");
    Ok(sources)
}

impl Source {
    /// Tells whether the file is nothing but tests.
    pub(super) fn is_tests(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.iter().any(|part| part == "tests")
    }

    /// The lines of code outside tests, each with its number.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut is_in_tests = self.is_tests();
        let mut previous = "";
        self.code.lines().enumerate().filter_map(move |(index, line)| {
            if previous.starts_with("#[cfg(test)]") && line.starts_with("mod ") {
                is_in_tests |= line.ends_with('{');
            }
            let is_code = !is_in_tests;
            if line == "}" && is_in_tests && !self.is_tests() {
                is_in_tests = false;
            }
            previous = line;
            is_code.then_some((index + 1, line))
        })
    }

    /// The path of the module the file is: `["message", "view"]`.
    pub(super) fn module(&self) -> Vec<String> {
        let below = self.path.strip_prefix("src").unwrap_or(&self.path).with_extension("");
        let mut parts: Vec<String> =
            below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if parts.last().is_some_and(|last| last == "mod") {
            parts.pop();
        }
        parts
    }
}

/// Puts spaces in place of comments, texts and characters, and keeps the lines.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = quoted_end(bytes, at);
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment, text or character that begins at `at` ends; `at` where none begins.
fn quoted_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let is_word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + find(rest, b"*/").unwrap_or(rest.len()),
        [b'"', ..] => text_end(bytes, at + 1),
        [b'r', b'"' | b'#', ..] if !is_word_before => raw_text_end(rest).map_or(at, |end| at + end),
        [b'b', b'r', b'"' | b'#', ..] if !is_word_before => {
            raw_text_end(&rest[1..]).map_or(at, |end| at + 1 + end)
        }
        [b'\'', b'\\', ..] => {
            at + 3 + rest[3..].iter().position(|&byte| byte == b'\'').unwrap_or(0) + 1
        }
        // A character; a lifetime has no quote behind it.
        [b'\'', _, b'\'', ..] => at + 3,
        _ => at,
    }
}

fn text_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn raw_text_end(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let closing = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    Some(2 + hashes + find(&rest[2 + hashes..], &closing).unwrap_or(rest.len()))
}

/// Where the first `wanted` in `bytes` ends.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted).map(|at| at + wanted.len())
}
