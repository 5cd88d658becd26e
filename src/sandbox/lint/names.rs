//! The names that scripts of a family find in their state, asked from a state itself.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::sandbox::api;
use crate::sandbox::context::Context;
use crate::sandbox::raw::State;
use crate::sandbox::spec::Role;
use crate::sandbox::spec::Script;
use crate::sandbox::spec::Spec;
use crate::sandbox::watchdog::Watch;

/// The globals of the host stand behind those of the script. Tells all names a state has, and those in its tables, as an error with a name a line.
const ASK: &[u8] = b"local names = {}
local all = getmetatable(_G).__index
for name, value in next, all do
  names[#names + 1] = tostring(name)
  if type(value) == 'table' and name ~= '_G' then
    for member in next, value do names[#names + 1] = tostring(name) .. '.' .. tostring(member) end
  end
end
error(table.concat(names, '\\n'), 0)";

/// The globals of a family of scripts, and what is in those that are libraries.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<String, BTreeSet<String>>);

impl Names {
    /// What scripts of this family find; nothing where a state cannot be made.
    #[must_use]
    pub fn of(role: Role) -> Names {
        let script = Script { path: "names".into(), text: String::new() };
        let spec = Spec::new("names", role, script);
        let counters = Watch::of_this_thread().counters.clone();
        let Ok(mut state) = State::new(Context::new(&spec), counters) else {
            return Names::default();
        };
        let asked = api::install(&mut state, role)
            .and_then(|()| state.seal())
            .and_then(|()| state.run(c"=names", ASK));
        let told = asked.err().map(|raised| raised.text).unwrap_or_default();
        let mut names = Names::default();
        for name in told.lines() {
            let (library, member) = name.split_once('.').unwrap_or((name, ""));
            let members = names.0.entry(library.to_owned()).or_default();
            if !member.is_empty() {
                members.insert(member.to_owned());
            }
        }
        names
    }

    /// Tells whether there is a global of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Tells whether this global is a library.
    pub(super) fn has_members(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|members| !members.is_empty())
    }

    pub(super) fn has_member(&self, library: &str, member: &str) -> bool {
        self.0.get(library).is_some_and(|members| members.contains(member))
    }

    pub(super) fn globals(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn members(&self, library: &str) -> impl Iterator<Item = &str> {
        self.0.get(library).into_iter().flatten().map(String::as_str)
    }
}
