//! Fills a freshly loaded script with what a snapshot holds; see [`crate::sandbox::snapshot`].

use std::collections::HashMap;
use std::collections::HashSet;
use std::ffi::CStr;
use std::ffi::c_int;
use std::ffi::c_void;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::library;
use super::migrate;
use super::object;
use super::pattern_state;
use super::require;
use super::save;
use super::save::Baseline;
use super::save::Walk;
use super::save::number;
use super::state::Raised;
use super::state::State;
use crate::sandbox::api;
use crate::sandbox::context::Context;
use crate::sandbox::pattern::Identity;
use crate::sandbox::pattern::TAG;
use crate::sandbox::snapshot::Restored;
use crate::sandbox::snapshot::format::Definition;
use crate::sandbox::snapshot::format::Parsed;
use crate::sandbox::snapshot::format::Root;
use crate::sandbox::snapshot::format::RootKind;
use crate::sandbox::snapshot::format::Saved;
use crate::sandbox::snapshot::format::Writer;

/// Where things lie on the stack.
const FUNCTIONS: c_int = 1;
/// Tables and native objects, by their numbers in the snapshot.
pub(super) const OBJECTS: c_int = 2;

/// At most so many things that were not kept are named.
const MAX_NOTES: usize = 50;

impl State {
    /// Fills the script with what a snapshot holds.
    pub(in crate::sandbox) fn restore<'a>(
        &mut self,
        parsed: &'a Parsed<'a>,
        preservation_version: &'a [u8],
        is_same: bool,
    ) -> Result<Restored, Raised> {
        let context = self.context_pointer();
        let mut restored = Restored::default();
        let mut migration = None;
        self.without_limit(|state| {
            state.protected(|lua| {
                // SAFETY: runs protected, in an open state.
                unsafe {
                    let migrates = !is_same && migrate::is_defined(lua);
                    restored.is_skipped = is_other_version(lua, preservation_version);
                    if restored.is_skipped && !migrates {
                        return;
                    }
                    let mut walk = Walk::default();
                    pattern_state::collect_loaded(lua, true);
                    walk.run(lua, &Baseline::new());
                    let mut filling = Filling::new(lua, context, parsed, is_same, &walk);
                    if !restored.is_skipped {
                        filling.roots();
                    }
                    if migrates {
                        migration = Some(filling.migration(preservation_version));
                    }
                    filling.definitions();
                    restored.kept_in_part = filling.notes;
                    pattern_state::collect_loaded(lua, false);
                }
            })
        })?;
        if let Some(migration) = migration {
            self.migrate(migration)?;
            restored.is_skipped = false;
        }
        Ok(restored)
    }
}

/// Tells whether the script asks for a clean start.
unsafe fn is_other_version(lua: *mut lua_State, saved: &[u8]) -> bool {
    // SAFETY: runs protected.
    unsafe {
        let value = save::preservation_version(lua);
        let mut writer = Writer::default();
        writer.value(value);
        ffi::lua_settop(lua, 0);
        value != Saved::Nil && writer.bytes() != saved
    }
}

pub(super) struct Filling<'a> {
    pub(super) lua: *mut lua_State,
    pub(super) context: *mut Context,
    pub(super) parsed: &'a Parsed<'a>,
    pub(super) is_same: bool,
    /// The functions of the script, by the path on which each was found.
    functions: HashMap<&'a [u8], usize>,
    /// What the numbers of the snapshot stand for: known ones are in the list of objects.
    pub(super) known: Vec<Known>,
    /// The patterns that loading the script has made, by their numbers in the list of them.
    pub(super) patterns: &'a HashMap<Identity, usize>,
    /// Tables and objects of the script that stand for something of the snapshot.
    taken: HashSet<*const c_void>,
    notes: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Not,
    /// Made by loading the script, to be filled.
    Loaded,
    /// Made anew.
    New,
}

impl<'a> Filling<'a> {
    /// # Safety
    /// Must run protected, with the list of functions as the only value on the stack.
    unsafe fn new(
        lua: *mut lua_State,
        context: *mut Context,
        parsed: &'a Parsed<'a>,
        is_same: bool,
        walk: &'a Walk,
    ) -> Filling<'a> {
        // SAFETY: runs protected.
        unsafe {
            ffi::luaL_checkstack_(lua, 40, c"no room to restore".as_ptr());
            ffi::lua_createtable(lua, number(parsed.definitions.len()), 0);
        }
        let functions = walk.functions.iter().enumerate();
        Filling {
            lua,
            context,
            parsed,
            is_same,
            functions: functions.map(|(index, path)| (path.as_slice(), index)).collect(),
            known: vec![Known::Not; parsed.definitions.len() + 1],
            patterns: &walk.patterns,
            taken: HashSet::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, what: &[u8], why: &str) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(format!("{}: {why}", String::from_utf8_lossy(what)));
        }
    }

    /// Gives the script its variables; what they lead to is filled by [`Filling::definitions`].
    unsafe fn roots(&mut self) {
        let parsed = self.parsed;
        // SAFETY: runs protected; each step leaves the stack as it was.
        unsafe {
            if self.is_same {
                self.clear_globals();
            }
            for root in &parsed.roots {
                if self.is_same || root.is_changed {
                    self.root(root);
                    ffi::lua_settop(self.lua, OBJECTS);
                }
            }
        }
    }

    /// Fills all that was given.
    unsafe fn definitions(&mut self) {
        let parsed = self.parsed;
        // SAFETY: runs protected; each step leaves the stack as it was.
        unsafe {
            for index in 0..parsed.definitions.len() {
                match &parsed.definitions[index] {
                    Definition::Table { pairs, .. } => self.fill(index + 1, pairs),
                    Definition::Object { values, .. } => self.fill_pattern(index + 1, values),
                }
                ffi::lua_settop(self.lua, OBJECTS);
            }
            for index in 0..parsed.definitions.len() {
                if let Definition::Table { metatable, .. } = parsed.definitions[index] {
                    self.give_metatable(index + 1, metatable);
                    ffi::lua_settop(self.lua, OBJECTS);
                }
            }
        }
    }

    /// Takes away the globals that the snapshot does not have: the script had set them to nil.
    unsafe fn clear_globals(&mut self) {
        let names: HashSet<&[u8]> = self
            .parsed
            .roots
            .iter()
            .filter(|root| root.kind == RootKind::Global)
            .map(|root| root.name)
            .collect();
        // SAFETY: runs protected; setting a pair to nil does not disturb a walk by position.
        unsafe {
            let lua = self.lua;
            let mut at = 0;
            loop {
                at = ffi::lua_rawiter(lua, ffi::LUA_GLOBALSINDEX, at);
                if at < 0 {
                    break;
                }
                let is_data = !matches!(
                    ffi::lua_type(lua, OBJECTS + 2),
                    ffi::LUA_TFUNCTION | ffi::LUA_TUSERDATA | ffi::LUA_TTHREAD
                ) && !is_frozen(lua, OBJECTS + 2)
                    && !save::is_of_the_host(lua, OBJECTS + 2);
                let name = super::args::text_at(lua, OBJECTS + 1);
                if is_data && name.is_some_and(|name| !names.contains(name)) {
                    ffi::lua_pushvalue(lua, OBJECTS + 1);
                    ffi::lua_pushnil(lua);
                    ffi::lua_rawset(lua, ffi::LUA_GLOBALSINDEX);
                }
                ffi::lua_settop(lua, OBJECTS);
            }
        }
    }

    unsafe fn root(&mut self, root: &Root<'a>) {
        // SAFETY: runs protected.
        unsafe {
            let lua = self.lua;
            match root.kind {
                RootKind::Global => {
                    push_text(lua, root.name);
                    push_text(lua, root.name);
                    ffi::lua_rawget(lua, ffi::LUA_GLOBALSINDEX);
                    let current = OBJECTS + 2;
                    if self.value(root.value, current, root.name) {
                        ffi::lua_pushvalue(lua, OBJECTS + 1);
                        ffi::lua_insert(lua, -2);
                        ffi::lua_rawset(lua, ffi::LUA_GLOBALSINDEX);
                    }
                }
                RootKind::Module => {
                    ffi::lua_rawgetfield(lua, ffi::LUA_REGISTRYINDEX, require::LOADED.as_ptr());
                    push_text(lua, root.name);
                    if ffi::lua_rawget(lua, OBJECTS + 1) == ffi::LUA_TTABLE {
                        self.value(root.value, OBJECTS + 2, root.name);
                    } else if matches!(root.value, Saved::Reference(_)) {
                        self.note(root.name, "the module is not loaded");
                    }
                }
                RootKind::Local => self.local(root),
            }
        }
    }

    /// Sets a local that a function has captured.
    unsafe fn local(&mut self, root: &Root<'a>) {
        let shown = [root.path, b"/", root.name].concat();
        let Some(index) = self.functions.get(root.path).copied() else {
            if !matches!(root.value, Saved::Left { .. }) {
                self.note(&shown, "the function is not there after loading");
            }
            return;
        };
        // SAFETY: runs protected; the function is in its list.
        unsafe {
            let lua = self.lua;
            ffi::lua_rawgeti_(lua, FUNCTIONS, number(index + 1));
            let function = OBJECTS + 1;
            let mut ordinal = 0;
            for upvalue in 1.. {
                let name = ffi::lua_getupvalue(lua, function, upvalue);
                if name.is_null() {
                    if self.is_same {
                        self.note(&shown, "the function has no such local");
                    }
                    return;
                }
                if CStr::from_ptr(name).to_bytes() == root.name {
                    if ordinal == root.ordinal {
                        if self.value(root.value, OBJECTS + 2, &shown) {
                            ffi::lua_setupvalue(lua, function, upvalue);
                        }
                        return;
                    }
                    ordinal += 1;
                }
                ffi::lua_settop(lua, function);
            }
        }
    }

    /// Pushes what a saved value stands for, given what is in its place; false, and nothing pushed,
    /// when that is to stay.
    pub(super) unsafe fn value(&mut self, value: Saved<'a>, current: c_int, path: &[u8]) -> bool {
        // SAFETY: runs protected.
        unsafe {
            let lua = self.lua;
            match value {
                Saved::Nil => ffi::lua_pushnil(lua),
                Saved::Null => ffi::lua_pushlightuserdata(lua, std::ptr::null_mut()),
                Saved::Bool(truth) => ffi::lua_pushboolean(lua, c_int::from(truth)),
                Saved::Number(number) => ffi::lua_pushnumber(lua, number),
                Saved::Integer(integer) => ffi::lua_pushinteger64(lua, integer),
                Saved::Text(text) => push_text(lua, text),
                Saved::Buffer(bytes) => {
                    let start = ffi::lua_newbuffer(lua, bytes.len()).cast::<u8>();
                    std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
                }
                Saved::Left { is_host } => {
                    if !is_host && ffi::lua_type(lua, current) <= ffi::LUA_TNIL {
                        self.note(path, "functions and coroutines made while running are not kept");
                    }
                    return false;
                }
                Saved::Reference(index) => self.reference(index, current, path),
            }
        }
        true
    }

    /// Pushes the table or object of this number.
    unsafe fn reference(&mut self, index: usize, current: c_int, path: &[u8]) {
        // SAFETY: runs protected; the number was checked against the definitions.
        unsafe {
            let lua = self.lua;
            if self.known[index] == Known::Not {
                let is_loaded = match &self.parsed.definitions[index - 1] {
                    Definition::Table { .. } => self.take_table(current),
                    Definition::Object { tag, state, values } if *tag == TAG => {
                        self.take_pattern(current, state, values, path)
                    }
                    Definition::Object { tag, state, .. } => {
                        self.take_object(current, *tag, state, path)
                    }
                };
                self.known[index] = if is_loaded { Known::Loaded } else { Known::New };
                ffi::lua_pushvalue(lua, -1);
                ffi::lua_rawseti_(lua, OBJECTS, number(index));
                return;
            }
            ffi::lua_rawgeti_(lua, OBJECTS, number(index));
        }
    }

    /// Pushes the table in the place, if there is one that stands for nothing yet, or a new one.
    unsafe fn take_table(&mut self, current: c_int) -> bool {
        // SAFETY: runs protected.
        unsafe {
            let lua = self.lua;
            let is_table = ffi::lua_type(lua, current) == ffi::LUA_TTABLE;
            if is_table && !is_frozen(lua, current) && self.take(current) {
                ffi::lua_pushvalue(lua, current);
                return true;
            }
            ffi::lua_createtable(lua, 0, 0);
            false
        }
    }

    /// Pushes the native object in the place, restored, or a new one; nil when neither can be.
    unsafe fn take_object(&mut self, current: c_int, tag: u8, state: &[u8], path: &[u8]) -> bool {
        // SAFETY: runs protected.
        unsafe {
            let lua = self.lua;
            if let Some(cell) = object::at(lua, current)
                && self.take(current)
                && let Ok(mut held) = cell.try_borrow_mut()
                && held.tag() == tag
            {
                let result = held.restore(state);
                drop(held);
                object::recount(lua, current);
                if let Err(why) = result {
                    self.note(path, &why);
                }
                ffi::lua_pushvalue(lua, current);
                return true;
            }
            let kind = api::kind_of(tag);
            if let Some(kind) = kind
                && let Some(object) = (kind.load)(state)
                && object.tag() == tag
            {
                library::prepare_kind(lua, self.context, kind);
                *(*self.context).parked() = Some(object);
                object::push(lua, (*self.context).parked());
            } else {
                self.note(path, "its state is damaged");
                ffi::lua_pushnil(lua);
            }
            false
        }
    }

    unsafe fn take(&mut self, slot: c_int) -> bool {
        // SAFETY: runs protected.
        self.taken.insert(unsafe { ffi::lua_topointer(self.lua, slot) })
    }

    /// Gives a table its pairs.
    unsafe fn fill(&mut self, index: usize, pairs: &[(Saved<'a>, Saved<'a>)]) {
        if self.known[index] == Known::Not {
            return;
        }
        // SAFETY: runs protected; a copy keeps what the table was.
        unsafe {
            let lua = self.lua;
            let (table, old) = (OBJECTS + 1, OBJECTS + 2);
            ffi::lua_rawgeti_(lua, OBJECTS, number(index));
            if self.known[index] == Known::Loaded {
                ffi::lua_clonetable(lua, table);
                self.clear(table, old);
            } else {
                ffi::lua_createtable(lua, 0, 0);
            }
            for (key, value) in pairs {
                ffi::lua_pushnil(lua);
                if self.value(*key, old + 1, b"a key")
                    && ffi::lua_type(lua, old + 2) != ffi::LUA_TNIL
                {
                    ffi::lua_pushvalue(lua, old + 2);
                    ffi::lua_rawget(lua, old);
                    let path = match key {
                        Saved::Text(text) => text.to_vec(),
                        _ => b"an item of a table".to_vec(),
                    };
                    let is_pushed = self.value(*value, old + 3, &path);
                    if !is_pushed {
                        ffi::lua_pushvalue(lua, old + 3);
                    }
                    ffi::lua_pushvalue(lua, old + 2);
                    ffi::lua_insert(lua, -2);
                    ffi::lua_rawset(lua, table);
                }
                ffi::lua_settop(lua, old);
            }
        }
    }

    /// Empties a table of its data. Under another version of the script, what loading put under a
    /// name stays until the snapshot overwrites it.
    unsafe fn clear(&mut self, table: c_int, old: c_int) {
        // SAFETY: runs protected; the walk is over the copy.
        unsafe {
            let lua = self.lua;
            let mut at = 0;
            loop {
                at = ffi::lua_rawiter(lua, old, at);
                if at < 0 {
                    break;
                }
                let keeps = ffi::lua_type(lua, old + 2) == ffi::LUA_TFUNCTION
                    || (!self.is_same && ffi::lua_type(lua, old + 1) == ffi::LUA_TSTRING);
                if !keeps {
                    ffi::lua_pushvalue(lua, old + 1);
                    ffi::lua_pushnil(lua);
                    ffi::lua_rawset(lua, table);
                }
                ffi::lua_settop(lua, old);
            }
        }
    }

    /// Gives a new table the metatable that the one in the snapshot had.
    unsafe fn give_metatable(&mut self, index: usize, metatable: usize) {
        if metatable == 0 || self.known[index] != Known::New {
            return;
        }
        if self.known[metatable] != Known::Loaded {
            self.note(b"a table", "its metatable was made while running");
            return;
        }
        // SAFETY: runs protected.
        unsafe {
            ffi::lua_rawgeti_(self.lua, OBJECTS, number(index));
            ffi::lua_rawgeti_(self.lua, OBJECTS, number(metatable));
            if ffi::lua_type(self.lua, -1) == ffi::LUA_TTABLE {
                ffi::lua_setmetatable(self.lua, -2);
            }
        }
    }
}

unsafe fn is_frozen(lua: *mut lua_State, slot: c_int) -> bool {
    // SAFETY: runs protected; only a table is asked.
    unsafe { ffi::lua_type(lua, slot) == ffi::LUA_TTABLE && ffi::lua_getreadonly(lua, slot) != 0 }
}

pub(super) unsafe fn push_text(lua: *mut lua_State, text: &[u8]) {
    // SAFETY: runs protected.
    unsafe { ffi::lua_pushlstring_(lua, text.as_ptr().cast(), text.len()) }
}
