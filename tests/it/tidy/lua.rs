//! The spec beside a script, the types beside the API.

use std::path::Path;

use regex::Regex;

use super::none;
use super::source::files;
use super::source::root;
use super::source::sources;

/// The functions that a file of the API gives to scripts, as it enters them into a table; what begins
/// with two underscores is called by Lua itself.
const ENTERED: &str = r#"\(c"([a-z][a-z0-9_]*)",\s*[a-z_:]+\)"#;

pub(super) fn scripts_have_a_spec_beside_them() -> anyhow::Result<()> {
    let mut complaints = Vec::new();
    for path in ["sandboxes", "lua", "config"].iter().flat_map(|folder| files(folder, "lua")) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_exempt = path.starts_with("lua/types") || name.ends_with("_spec");
        let spec = root().join(path.with_file_name(format!("{name}_spec.lua")));
        if !is_exempt && !spec.is_file() {
            complaints.push(format!("{} has no {name}_spec.lua beside it", path.display()));
        }
    }
    none(complaints)
}

pub(super) fn api_has_its_types_for_the_editor() -> anyhow::Result<()> {
    let entered = Regex::new(ENTERED)?;
    let mut complaints = Vec::new();
    for source in sources(&["src"])? {
        if !source.path.starts_with("src/sandbox/api") || source.is_tests() {
            continue;
        }
        let stem = source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if stem == "mod" {
            continue;
        }
        let Some(types) = types_of(&stem) else {
            complaints.push(format!("{} has no twin in lua/types/", source.path.display()));
            continue;
        };
        for name in entered.captures_iter(&source.text) {
            let is_declared = Regex::new(&format!(r"\b{}\b", &name[1]))?.is_match(&types);
            if !is_declared {
                complaints.push(format!("lua/types/{stem} does not declare {}", &name[1]));
            }
        }
    }
    none(complaints)
}

/// The text of the declarations in `lua/types/` whose file is called `stem`.
fn types_of(stem: &str) -> Option<String> {
    let folder = Path::new("lua/types");
    let names = [format!("{stem}.d.luau"), format!("{stem}.luau"), format!("{stem}.lua")];
    names.iter().find_map(|name| std::fs::read_to_string(root().join(folder).join(name)).ok())
}
