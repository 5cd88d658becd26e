//! What `lua/types/` declares is there when a script runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::sandbox::raw::GIVEN;

/// The names in the declarations: globals, members of libraries as `library.member`, and methods with a
/// colon in front.
fn declared() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua/types");
    let mut names = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "luau") {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let word = |text: &str| -> String {
            text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        let mut owner = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("declare function ") {
                names.insert(word(rest));
            } else if line.starts_with("declare class ") {
                owner = None;
            } else if let Some(rest) = line.strip_prefix("declare ") {
                owner = Some(word(rest));
                names.insert(word(rest));
            } else if let Some(rest) = line.strip_prefix("  function ") {
                names.insert(format!(":{}", word(rest)));
            } else if let (Some(owner), true) =
                (&owner, line.starts_with("  ") && !line.starts_with("   "))
                && line.contains(": ")
                && !line.trim().starts_with("--")
            {
                names.insert(format!("{owner}.{}", word(line.trim())));
            }
        }
    }
    names
}

/// Requires all that there is and gives the names that are nil, one a line.
const LOOK: &str = "
    for _, name in ipairs({LIBRARIES}) do
      local ok, value = pcall(require, name)
      if ok and _G[name] == nil then _G[name] = value end
    end
    local missing = {}
    for _, name in ipairs({NAMES}) do
      local owner, member = string.match(name, '^(.-)%.(.*)$')
      local found
      if owner then
        local ok, value = pcall(function() return _G[owner][member] end)
        found = ok and value
      else
        found = _G[name]
      end
      if found == nil then missing[#missing + 1] = name end
    end
    error(table.concat(missing, ' '), 0)";

#[test]
fn what_is_declared_is_there() {
    let names = declared();
    assert!(names.len() > 150, "only {} names", names.len());
    let quoted = |names: Vec<&String>| {
        names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(",")
    };
    let libraries = quoted(names.iter().filter(|name| !name.contains(['.', ':'])).collect());
    let wanted = quoted(names.iter().filter(|name| !name.contains(':')).collect());
    let script = LOOK.replace("LIBRARIES", &libraries).replace("NAMES", &wanted);
    let mut nowhere: Option<BTreeSet<String>> = None;
    for role in [Role::Input, Role::Decoder, Role::Filter, Role::Encoder, Role::Output] {
        let mut spec = filter(&script);
        spec.role = role;
        spec.modules.built_in = Some(Arc::new(|file: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua").join(file);
            fs::read_to_string(path).ok()
        }));
        let missing = Sandbox::load(&spec).unwrap_err().message;
        let missing: BTreeSet<String> = missing.split_whitespace().map(str::to_owned).collect();
        nowhere = Some(match nowhere {
            None => missing,
            Some(before) => before.intersection(&missing).cloned().collect(),
        });
    }
    // Operators of patterns are made elsewhere, and the lock is given back before anything may fail.
    let given: BTreeSet<String> = GIVEN.lock().unwrap().values().cloned().collect();
    let methods = names.iter().filter_map(|name| name.strip_prefix(':'));
    let lost: Vec<&str> =
        methods.filter(|name| !name.starts_with("__") && !given.contains(*name)).collect();
    assert_eq!(lost, Vec::<&str>::new(), "no object has these methods");
    assert_eq!(nowhere, Some(BTreeSet::new()), "nobody has these names");
}
