//! Walks all a script can reach and writes it down; see [`crate::sandbox::snapshot`].
//!
//! On the Lua stack lie two lists: the tables and native objects by their numbers, and the
//! functions found. Both grow while they are worked through, so nothing is recursive and no depth is
//! too deep.

use std::collections::HashMap;
use std::collections::HashSet;
use std::ffi::CStr;
use std::ffi::c_int;
use std::ffi::c_void;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::args;
use super::object;
use super::pattern;
use super::require;
use super::state::Raised;
use super::state::State;
use crate::sandbox::pattern::Identity;
use crate::sandbox::snapshot::format::RootKind;
use crate::sandbox::snapshot::format::Saved;
use crate::sandbox::snapshot::format::Writer;

/// What roots were when the script had been loaded: the hash of a root's name to that of its value.
pub(in crate::sandbox) type Baseline = HashMap<u64, u64>;

/// What a walk has written, and what it found.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Walk {
    pub(in crate::sandbox) preservation_version: Vec<u8>,
    pub(in crate::sandbox) roots: Vec<u8>,
    pub(in crate::sandbox) root_count: usize,
    pub(in crate::sandbox) definitions: Vec<u8>,
    pub(in crate::sandbox) definition_count: usize,
    /// The roots that stand for themselves, as a baseline has them.
    pub(in crate::sandbox) scalars: Baseline,
    /// Where each function was found.
    pub(super) functions: Vec<Vec<u8>>,
    /// The patterns that loading the script makes, by their numbers.
    pub(super) patterns: HashMap<Identity, usize>,
    /// The number of each table and native object, and where it was found.
    numbers: HashMap<*const c_void, usize>,
    pub(super) paths: Vec<Vec<u8>>,
    known_functions: HashSet<*const c_void>,
}

/// Longer paths are not made longer.
const MAX_PATH: usize = 200;

/// Where the lists lie.
#[derive(Clone, Copy)]
pub(super) struct Lists {
    pub(super) objects: c_int,
    functions: c_int,
}

impl State {
    /// Writes down what the script has become; a root that is as in `baseline` is marked so.
    pub(in crate::sandbox) fn save(&mut self, baseline: &Baseline) -> Result<Walk, Raised> {
        let mut walk = Walk::default();
        self.without_limit(|state| {
            state.protected(|lua| {
                // SAFETY: runs protected, in an open state.
                unsafe { walk.run(lua, baseline) }
            })
        })?;
        Ok(walk)
    }
}

impl Walk {
    /// Walks; leaves the list of functions as the one value on the stack.
    ///
    /// # Safety
    /// Must run protected, with an empty frame.
    pub(super) unsafe fn run(&mut self, lua: *mut lua_State, baseline: &Baseline) {
        // SAFETY: runs protected; every value pushed is popped again.
        unsafe {
            ffi::luaL_checkstack_(lua, 40, c"no room to walk".as_ptr());
            ffi::lua_createtable(lua, 0, 0);
            ffi::lua_createtable(lua, 0, 0);
            let lists = Lists { functions: 1, objects: 2 };
            self.note_preservation_version(lua);
            for (kind, is_global) in [(RootKind::Global, true), (RootKind::Module, false)] {
                if is_global {
                    ffi::lua_pushvalue(lua, ffi::LUA_GLOBALSINDEX);
                } else {
                    ffi::lua_rawgetfield(lua, ffi::LUA_REGISTRYINDEX, require::LOADED.as_ptr());
                }
                let table = ffi::lua_gettop(lua);
                for name in text_keys(lua, table) {
                    ffi::lua_pushlstring_(lua, name.as_ptr().cast(), name.len());
                    ffi::lua_rawget(lua, table);
                    self.root(
                        lua,
                        lists,
                        baseline,
                        RootName { kind, path: &[], name: &name, ordinal: 0 },
                    );
                    ffi::lua_settop(lua, table);
                }
                ffi::lua_settop(lua, lists.objects);
            }
            let (mut functions_done, mut objects_done) = (0, 0);
            loop {
                if functions_done < self.functions.len() {
                    self.locals(lua, lists, baseline, functions_done);
                    functions_done += 1;
                } else if objects_done < self.paths.len() {
                    self.define(lua, lists, objects_done);
                    objects_done += 1;
                } else {
                    break;
                }
            }
            self.definition_count = objects_done;
            ffi::lua_settop(lua, lists.functions);
        }
    }

    unsafe fn note_preservation_version(&mut self, lua: *mut lua_State) {
        // SAFETY: runs protected.
        unsafe {
            let value = preservation_version(lua);
            let mut writer = Writer::default();
            writer.value(value);
            self.preservation_version = writer.into_bytes();
            ffi::lua_settop(lua, -2);
        }
    }

    /// Writes the value on top as a root.
    unsafe fn root(
        &mut self,
        lua: *mut lua_State,
        lists: Lists,
        baseline: &Baseline,
        root: RootName<'_>,
    ) {
        // SAFETY: runs protected, the value is on top.
        unsafe {
            let mut path = root.path.to_vec();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(root.name);
            let value = self.value(lua, lists, ffi::lua_gettop(lua), &path);
            if value == (Saved::Left { is_host: true }) {
                return;
            }
            let mut writer = Writer::default();
            writer.value(value);
            let mut is_changed = true;
            if !matches!(value, Saved::Reference(_) | Saved::Left { .. }) {
                let key = root.hash();
                let hash = hash(&[writer.bytes()]);
                is_changed = baseline.get(&key) != Some(&hash);
                self.scalars.insert(key, hash);
            }
            let mut head = Writer::default();
            head.byte(root.kind.number());
            head.text(root.path);
            head.text(root.name);
            head.count(root.ordinal);
            head.byte(u8::from(is_changed));
            self.roots.extend_from_slice(head.bytes());
            self.roots.extend_from_slice(writer.bytes());
            self.root_count += 1;
        }
    }

    /// Writes the locals that a function has captured.
    unsafe fn locals(
        &mut self,
        lua: *mut lua_State,
        lists: Lists,
        baseline: &Baseline,
        index: usize,
    ) {
        // SAFETY: runs protected; the function is in its list.
        unsafe {
            let path = self.functions[index].clone();
            let top = ffi::lua_gettop(lua);
            ffi::lua_rawgeti_(lua, lists.functions, number(index + 1));
            let mut names: Vec<Vec<u8>> = Vec::new();
            for upvalue in 1.. {
                let name = ffi::lua_getupvalue(lua, top + 1, upvalue);
                if name.is_null() {
                    break;
                }
                let name = CStr::from_ptr(name).to_bytes().to_vec();
                let ordinal = names.iter().filter(|known| **known == name).count();
                let root = RootName { kind: RootKind::Local, path: &path, name: &name, ordinal };
                self.root(lua, lists, baseline, root);
                names.push(name);
                ffi::lua_settop(lua, top + 1);
            }
            ffi::lua_settop(lua, top);
        }
    }

    /// Writes a table or native object.
    unsafe fn define(&mut self, lua: *mut lua_State, lists: Lists, index: usize) {
        // SAFETY: runs protected; the object is in its list.
        unsafe {
            let top = ffi::lua_gettop(lua);
            let slot = top + 1;
            ffi::lua_rawgeti_(lua, lists.objects, number(index + 1));
            let mut writer = Writer::default();
            if ffi::lua_type(lua, slot) == ffi::LUA_TTABLE {
                self.define_table(lua, lists, index, &mut writer);
            } else {
                let mut state = Vec::new();
                let mut tag = 0;
                if let Some(object) = object::at(lua, slot)
                    && let Ok(object) = object.try_borrow()
                {
                    tag = object.tag();
                    object.save(&mut state);
                }
                let is_pattern = pattern::is_pattern(lua, slot);
                writer.byte(if is_pattern { 2 } else { 1 });
                writer.byte(tag);
                writer.text(&state);
                if is_pattern {
                    self.pattern(lua, lists, index, &mut writer);
                }
            }
            self.definitions.extend_from_slice(writer.bytes());
            ffi::lua_settop(lua, top);
        }
    }

    /// Writes the table on top.
    unsafe fn define_table(
        &mut self,
        lua: *mut lua_State,
        lists: Lists,
        index: usize,
        writer: &mut Writer,
    ) {
        // SAFETY: runs protected; the table does not change while it is walked.
        unsafe {
            let slot = ffi::lua_gettop(lua);
            let path = self.paths[index].clone();
            let mut metatable = 0;
            let mut is_weak = false;
            if ffi::lua_getmetatable(lua, slot) != 0 {
                let value = self.value(lua, lists, slot + 1, &[&path[..], b".metatable"].concat());
                if let Saved::Reference(number) = value {
                    metatable = number;
                }
                is_weak = has_weak_values(lua, slot + 1);
                ffi::lua_settop(lua, slot);
            }
            let mut pairs = Writer::default();
            let mut count = 0;
            let mut at = 0;
            // What a table holds weakly may be gone at any time.
            loop {
                at = ffi::lua_rawiter(lua, slot, at);
                if at < 0 || is_weak {
                    break;
                }
                let key = self.value(lua, lists, slot + 1, &path);
                if !matches!(key, Saved::Left { .. }) {
                    let inner = match ffi::lua_type(lua, slot + 2) {
                        ffi::LUA_TTABLE | ffi::LUA_TUSERDATA | ffi::LUA_TFUNCTION => {
                            member(&path, key)
                        }
                        _ => Vec::new(),
                    };
                    let value = self.value(lua, lists, slot + 2, &inner);
                    pairs.value(key);
                    pairs.value(value);
                    count += 1;
                }
                ffi::lua_settop(lua, slot);
            }
            writer.byte(0);
            writer.count(metatable);
            writer.count(count);
            writer.raw(pairs.bytes());
        }
    }

    /// What stands for the value at `slot`; what it leads to is entered into the lists.
    pub(super) unsafe fn value<'a>(
        &mut self,
        lua: *mut lua_State,
        lists: Lists,
        slot: c_int,
        path: &[u8],
    ) -> Saved<'a> {
        // SAFETY: runs protected; texts and buffers are held by the slot until they are written.
        unsafe {
            match ffi::lua_type(lua, slot) {
                ffi::LUA_TTABLE => {
                    if ffi::lua_getreadonly(lua, slot) != 0 || is_of_the_host(lua, slot) {
                        return Saved::Left { is_host: true };
                    }
                    self.reference(lua, lists, slot, path)
                }
                ffi::LUA_TUSERDATA => match object::at(lua, slot) {
                    Some(_) => self.reference(lua, lists, slot, path),
                    None => Saved::Left { is_host: true },
                },
                ffi::LUA_TFUNCTION => {
                    if ffi::lua_iscfunction(lua, slot) != 0 {
                        return Saved::Left { is_host: true };
                    }
                    let identity = ffi::lua_topointer(lua, slot);
                    if self.known_functions.insert(identity) {
                        self.functions.push(path.to_vec());
                        ffi::lua_pushvalue(lua, slot);
                        ffi::lua_rawseti_(lua, lists.functions, number(self.functions.len()));
                    }
                    Saved::Left { is_host: false }
                }
                // The null of JSON, which is the same in every state.
                ffi::LUA_TLIGHTUSERDATA => Saved::Null,
                _ => scalar(lua, slot),
            }
        }
    }

    unsafe fn reference<'a>(
        &mut self,
        lua: *mut lua_State,
        lists: Lists,
        slot: c_int,
        path: &[u8],
    ) -> Saved<'a> {
        // SAFETY: runs protected.
        unsafe {
            let identity = ffi::lua_topointer(lua, slot);
            if let Some(known) = self.numbers.get(&identity) {
                return Saved::Reference(*known);
            }
            self.paths.push(path.to_vec());
            let new = self.paths.len();
            self.numbers.insert(identity, new);
            ffi::lua_pushvalue(lua, slot);
            ffi::lua_rawseti_(lua, lists.objects, number(new));
            Saved::Reference(new)
        }
    }
}

/// Tells whether a metatable makes the values of its tables weak.
unsafe fn has_weak_values(lua: *mut lua_State, slot: c_int) -> bool {
    // SAFETY: runs protected; only a table is asked.
    unsafe {
        ffi::lua_rawgetfield(lua, slot, c"__mode".as_ptr());
        let mode = args::text_at(lua, -1).unwrap_or_default();
        let is_weak = mode.contains(&b'v');
        ffi::lua_settop(lua, -2);
        is_weak
    }
}

/// The path of what a table at `path` has under `key`; paths end at [`MAX_PATH`], so that a long
/// list of tables does not have paths as long.
fn member(path: &[u8], key: Saved<'_>) -> Vec<u8> {
    if path.len() > MAX_PATH {
        return path.to_vec();
    }
    let number;
    let name = match key {
        Saved::Text(text) => text,
        Saved::Number(key) => {
            number = key.to_string();
            number.as_bytes()
        }
        _ => b"?",
    };
    [path, b".", name].concat()
}

/// The name of a root.
#[derive(Clone, Copy)]
struct RootName<'a> {
    kind: RootKind,
    path: &'a [u8],
    name: &'a [u8],
    ordinal: usize,
}

impl RootName<'_> {
    fn hash(&self) -> u64 {
        let ordinal = self.ordinal.to_le_bytes();
        hash(&[&[self.kind.number()], self.path, &[0], self.name, &[0], &ordinal])
    }
}

/// A hash of bytes that come in parts.
fn hash(parts: &[&[u8]]) -> u64 {
    parts.iter().copied().flatten().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A value that stands for itself; anything else is left as it is.
///
/// # Safety
/// The slot must keep its value for as long as the result is used.
pub(super) unsafe fn scalar<'a>(lua: *mut lua_State, slot: c_int) -> Saved<'a> {
    // SAFETY: each function is asked for the type found, and none raises.
    unsafe {
        match ffi::lua_type(lua, slot) {
            ffi::LUA_TNIL => Saved::Nil,
            ffi::LUA_TBOOLEAN => Saved::Bool(ffi::lua_toboolean(lua, slot) != 0),
            ffi::LUA_TNUMBER => Saved::Number(ffi::lua_tonumber(lua, slot)),
            ffi::LUA_TINTEGER => {
                Saved::Integer(ffi::lua_tointeger64(lua, slot, std::ptr::null_mut()))
            }
            ffi::LUA_TSTRING => Saved::Text(args::text_at(lua, slot).unwrap_or_default()),
            ffi::LUA_TBUFFER => {
                let mut length = 0;
                let start = ffi::lua_tobuffer(lua, slot, &raw mut length);
                Saved::Buffer(std::slice::from_raw_parts(start.cast(), length))
            }
            _ => Saved::Left { is_host: false },
        }
    }
}

/// Pushes the script's `_PRESERVATION_VERSION` and reads it.
///
/// # Safety
/// Must run protected; the result holds as long as the value is on the stack.
pub(super) unsafe fn preservation_version<'a>(lua: *mut lua_State) -> Saved<'a> {
    // SAFETY: runs protected.
    unsafe {
        ffi::lua_pushstring_(lua, c"_PRESERVATION_VERSION".as_ptr());
        ffi::lua_rawget(lua, ffi::LUA_GLOBALSINDEX);
        match scalar(lua, ffi::lua_gettop(lua)) {
            Saved::Left { .. } | Saved::Buffer(_) => Saved::Nil,
            value => value,
        }
    }
}

/// Tells whether the table is that of the globals or of the modules, whose members are roots.
///
/// # Safety
/// Must run protected.
pub(super) unsafe fn is_of_the_host(lua: *mut lua_State, slot: c_int) -> bool {
    // SAFETY: runs protected.
    unsafe {
        if ffi::lua_rawequal(lua, slot, ffi::LUA_GLOBALSINDEX) != 0 {
            return true;
        }
        ffi::lua_rawgetfield(lua, ffi::LUA_REGISTRYINDEX, require::LOADED.as_ptr());
        let is_loaded = ffi::lua_rawequal(lua, slot, -1) != 0;
        ffi::lua_settop(lua, -2);
        is_loaded
    }
}

/// The keys of a table that are strings, in order.
unsafe fn text_keys(lua: *mut lua_State, table: c_int) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    // SAFETY: runs protected; the table does not change while it is walked.
    unsafe {
        let top = ffi::lua_gettop(lua);
        let mut at = 0;
        loop {
            at = ffi::lua_rawiter(lua, table, at);
            if at < 0 {
                break;
            }
            keys.extend(args::text_at(lua, top + 1).map(<[u8]>::to_vec));
            ffi::lua_settop(lua, top);
        }
    }
    keys.sort_unstable();
    keys
}

/// A place in a list.
pub(super) fn number(index: usize) -> c_int {
    c_int::try_from(index).unwrap_or(c_int::MAX)
}
