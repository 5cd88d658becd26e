//! The scripts, modules and configurations that are part of the program, and what is found in their
//! place.
//!
//! The folders `sandboxes/`, `lua/` and `config/` of the sources are in the binary; a debug build reads
//! them from the sources. Scripts written for Heka name Heka's folders, which lead here:
//!
//! | Heka's | ours |
//! | --- | --- |
//! | `lua_decoders/` `lua_filters/` `lua_encoders/` `lua_inputs/` `lua_outputs/` | `sandboxes/decoders/` and so on |
//! | `lua_modules/` `lua_io_modules/` | `lua/` |
//!
//! A file under `share_dir` wins over the one in the binary, whichever of the two ways it is named. So
//! does one in the working directory, below those of `share_dir`: a script can be edited where it lies.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::io;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "sandboxes"]
#[prefix = "sandboxes/"]
#[allow_missing = true]
struct Sandboxes;

#[derive(RustEmbed)]
#[folder = "lua"]
#[prefix = "lua/"]
#[allow_missing = true]
struct Modules;

#[derive(RustEmbed)]
#[folder = "config"]
#[prefix = "config/"]
#[allow_missing = true]
struct Configurations;

/// Where Heka is installed as a rule; a name below it leads to what is in the binary.
const HEKA_SHARE_DIR: &str = "/usr/share/heka";

/// A text that was looked for and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A file on disk.
    File(PathBuf),
    /// A file in the binary, by its name: `sandboxes/filters/http_status.lua`.
    Embedded(String),
}

impl Found {
    /// Reads it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> io::Result<Cow<'static, [u8]>> {
        match self {
            Self::File(path) => fs::read(path).map(Cow::Owned),
            Self::Embedded(name) => {
                embedded(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
            }
        }
    }

    /// Returns the path of the file, which may change; none if it is in the binary.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Embedded(_) => None,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Embedded(name) => f.write_str(name),
        }
    }
}

/// A text that a script is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file a module is required by, `parts/two.lua`; empty for the script itself.
    pub module: String,
    /// Where it lies, or its name in the program.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// Nothing was found under a name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {name}; looked for {}", .looked.join(", "))]
pub struct NotFound {
    name: String,
    looked: Vec<String>,
}

/// Returns a file of the binary: `config/quickstart.toml`.
pub fn embedded(name: &str) -> Option<Cow<'static, [u8]>> {
    let file = match name.split_once('/')?.0 {
        "sandboxes" => Sandboxes::get(name),
        "lua" => Modules::get(name),
        "config" => Configurations::get(name),
        _ => None,
    };
    file.map(|file| file.data)
}

/// Returns the names of all files of the binary that begin with `start`, sorted.
pub fn embedded_names(start: &str) -> Vec<String> {
    let mut names: Vec<String> = Sandboxes::iter()
        .chain(Modules::iter())
        .chain(Configurations::iter())
        .filter(|name| name.starts_with(start))
        .map(Cow::into_owned)
        .collect();
    names.sort_unstable();
    names
}

/// Finds the script of a sandbox by the name in its section.
///
/// # Errors
/// When there is none, naming every place where it could have been.
pub fn find_script(filename: &Path, share_dir: &Path) -> Result<Found, NotFound> {
    let shown = filename.display().to_string();
    let mut looked = Vec::new();
    let relative = if filename.is_absolute() {
        if filename.is_file() {
            return Ok(Found::File(filename.to_owned()));
        }
        looked.push(shown.clone());
        match filename.strip_prefix(share_dir).or_else(|_| filename.strip_prefix(HEKA_SHARE_DIR)) {
            Ok(relative) => relative,
            Err(_) => return Err(NotFound { name: shown, looked }),
        }
    } else {
        filename
    };
    let ours = our_name(relative);
    let names = [Some(relative.to_owned()), ours.clone().filter(|ours| ours != relative)];
    for folder in [share_dir, Path::new("")] {
        for name in names.iter().flatten() {
            let path = folder.join(name);
            if path.is_file() {
                return Ok(Found::File(path));
            }
            looked.push(path.display().to_string());
        }
    }
    if let Some(name) = ours.as_deref().and_then(Path::to_str) {
        if embedded(name).is_some() {
            return Ok(Found::Embedded(name.to_owned()));
        }
        looked.push(format!("{name} in the program"));
    }
    looked.dedup();
    Err(NotFound { name: shown, looked })
}

/// Finds a module by the name a script requires it by, first in `folders`, in their order, then in
/// the binary. A dot in the name stands for a folder.
///
/// # Errors
/// When there is none, or the name is not made of letters, digits, `_`, `-` and single dots.
pub fn find_module(name: &str, folders: &[PathBuf]) -> Result<Found, NotFound> {
    let is_plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let shown = format!("module `{}`", name.chars().take(100).collect::<String>());
    if name.len() > 200 || !name.split('.').all(is_plain) {
        return Err(NotFound { name: shown, looked: vec!["a name of letters and digits".into()] });
    }
    let file = format!("{}.lua", name.replace('.', "/"));
    let mut looked = Vec::new();
    for folder in folders {
        let path = folder.join(&file);
        if path.is_file() {
            return Ok(Found::File(path));
        }
        looked.push(path.display().to_string());
    }
    let name = format!("lua/{file}");
    if embedded(&name).is_some() {
        return Ok(Found::Embedded(name));
    }
    looked.push(format!("{name} in the program"));
    Err(NotFound { name: shown, looked })
}

/// Returns the folders modules are looked for in: those of `module_directory`, a list with `;` between,
/// or what `share_dir` has.
pub fn module_folders(module_directory: Option<&str>, share_dir: &Path) -> Vec<PathBuf> {
    match module_directory {
        Some(list) if !list.is_empty() => {
            list.split(';').filter(|folder| !folder.is_empty()).map(PathBuf::from).collect()
        }
        _ => vec![share_dir.join("lua_modules"), share_dir.join("lua")],
    }
}

/// The names of the files of modules in the binary that begin with `start`, in order.
#[must_use]
pub fn names(start: &str) -> Vec<String> {
    let mut names: Vec<String> = Modules::iter().map(Cow::into_owned).collect();
    names.retain(|name| name.starts_with(start));
    names.sort();
    names
}

/// Returns our name for a file in one of Heka's folders, and the name itself for one in ours; none for
/// other folders and names that lead upwards.
fn our_name(name: &Path) -> Option<PathBuf> {
    let mut parts = name.components();
    let is_plain = |part: &Component<'_>| matches!(part, Component::Normal(_));
    if !name.components().all(|part| is_plain(&part)) {
        return None;
    }
    let folder = match parts.next()?.as_os_str().to_str()? {
        "lua_inputs" => "sandboxes/inputs",
        "lua_decoders" => "sandboxes/decoders",
        "lua_filters" => "sandboxes/filters",
        "lua_encoders" => "sandboxes/encoders",
        "lua_outputs" => "sandboxes/outputs",
        "lua_modules" | "lua_io_modules" => "lua",
        "sandboxes" | "lua" => return Some(name.to_owned()),
        _ => return None,
    };
    Some(Path::new(folder).join(parts.as_path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        assert_eq!(our_name(Path::new(name)).as_deref(), expected.map(Path::new));
    }

    #[test]
    fn folders_of_heka_lead_to_ours() {
        check("lua_filters/http_status.lua", Some("sandboxes/filters/http_status.lua"));
        check("lua_modules/decoders/util.lua", Some("lua/decoders/util.lua"));
        check("sandboxes/filters/x.lua", Some("sandboxes/filters/x.lua"));
        check("my/own.lua", None);
        check("lua_filters/../../secret", None);
        check("/lua_filters/x.lua", None);
    }

    #[test]
    fn a_file_under_share_dir_wins_by_either_name() {
        let share = tempfile::tempdir().unwrap();
        let script = Path::new("lua_filters/mine.lua");
        let lost = find_script(script, share.path()).unwrap_err().to_string();
        assert!(lost.contains("sandboxes/filters/mine.lua in the program"), "{lost}");
        let path = share.path().join("sandboxes/filters/mine.lua");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "-- ours").unwrap();
        assert_eq!(find_script(script, share.path()), Ok(Found::File(path)));
        let path = share.path().join(script);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "-- Heka's").unwrap();
        let found = find_script(script, share.path()).unwrap();
        assert_eq!(&*found.read().unwrap(), b"-- Heka's");
        assert_eq!(found.path(), Some(path.as_path()));
    }

    #[test]
    fn an_absolute_name_is_taken_as_it_is() {
        let share = tempfile::tempdir().unwrap();
        let path = share.path().join("x.lua");
        fs::write(&path, "").unwrap();
        assert_eq!(find_script(&path, Path::new("/elsewhere")), Ok(Found::File(path)));
        assert!(find_script(Path::new("/no/such.lua"), share.path()).is_err());
    }

    #[test]
    fn modules_are_plain_names_only() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().to_owned()];
        fs::create_dir(folder.path().join("mine")).unwrap();
        let path = folder.path().join("mine/part.lua");
        fs::write(&path, "").unwrap();
        assert_eq!(find_module("mine.part", &folders), Ok(Found::File(path)));
        for name in ["../mine/part", "mine..part", "", "/etc/passwd", "mine/part", "a\0b"] {
            assert!(find_module(name, &folders).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_embedded_can_be_read() {
        for name in embedded_names("") {
            assert!(embedded(&name).is_some(), "{name}");
        }
        assert_eq!(embedded("Cargo.toml"), None);
        assert_eq!(embedded("lua/../Cargo.toml"), None);
    }
}
