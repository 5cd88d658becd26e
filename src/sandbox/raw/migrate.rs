//! `migrate(old_version, state)`: a script takes over what another version of it has left.
//!
//! `state` has what the snapshot holds by name: the globals, and the file-level locals that
//! functions use where no global has their name. What was taken over by name before is the very same
//! table or object there; all else was made anew and is the script's to keep or to let go.

use std::collections::HashSet;
use std::ffi::c_int;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::restore::Filling;
use super::restore::OBJECTS;
use super::restore::push_text;
use super::state::HANDLER;
use super::state::Raised;
use super::state::State;
use crate::sandbox::snapshot::format::Reader;
use crate::sandbox::snapshot::format::RootKind;
use crate::sandbox::snapshot::format::Saved;

const NAME: &[u8] = b"migrate";

/// A call that is ready to be made: function and arguments in a list that the registry holds.
pub(super) struct Migration(c_int);

/// Tells whether the script has a `migrate`.
///
/// # Safety
/// Must run protected.
pub(super) unsafe fn is_defined(lua: *mut lua_State) -> bool {
    // SAFETY: runs protected; the value is popped again.
    unsafe {
        push_text(lua, NAME);
        let kind = ffi::lua_rawget(lua, ffi::LUA_GLOBALSINDEX);
        ffi::lua_settop(lua, -2);
        kind == ffi::LUA_TFUNCTION
    }
}

impl<'a> Filling<'a> {
    /// Makes the call ready. What `state` leads to is filled later.
    ///
    /// # Safety
    /// Must run protected, between the roots and the definitions.
    pub(super) unsafe fn migration(&mut self, old_version: &'a [u8]) -> Migration {
        // SAFETY: runs protected; the stack is left as it was.
        unsafe {
            let lua = self.lua;
            let (list, state) = (OBJECTS + 1, OBJECTS + 2);
            ffi::lua_createtable(lua, 3, 0);
            ffi::lua_createtable(lua, 0, 0);
            let mut named = HashSet::new();
            let parsed = self.parsed;
            for kind in [RootKind::Global, RootKind::Local] {
                for root in parsed.roots.iter().filter(|root| root.kind == kind) {
                    if !named.insert(root.name) {
                        continue;
                    }
                    push_text(lua, root.name);
                    ffi::lua_pushnil(lua);
                    if self.value(root.value, state + 2, root.name) {
                        ffi::lua_pushvalue(lua, state + 1);
                        ffi::lua_insert(lua, -2);
                        ffi::lua_rawset(lua, state);
                    }
                    ffi::lua_settop(lua, state);
                }
            }
            ffi::lua_rawseti_(lua, list, 3);
            ffi::lua_pushnil(lua);
            let version = Reader::new(old_version).value().unwrap_or(Saved::Nil);
            if self.value(version, list + 1, NAME) {
                ffi::lua_rawseti_(lua, list, 2);
            }
            ffi::lua_settop(lua, list);
            push_text(lua, NAME);
            ffi::lua_rawget(lua, ffi::LUA_GLOBALSINDEX);
            ffi::lua_rawseti_(lua, list, 1);
            let migration = Migration(ffi::lua_ref(lua, list));
            ffi::lua_settop(lua, OBJECTS);
            migration
        }
    }
}

impl State {
    /// Makes the call.
    pub(super) fn migrate(&mut self, migration: Migration) -> Result<(), Raised> {
        self.begin();
        // SAFETY: nothing is allocated outside of the protected call, and there is room.
        let (base, status) = unsafe {
            let lua = self.lua;
            let base = ffi::lua_gettop(lua);
            ffi::lua_rawgeti_(lua, ffi::LUA_REGISTRYINDEX, migration.0);
            for index in 1..=3 {
                ffi::lua_rawgeti_(lua, base + 1, index);
            }
            ffi::lua_remove(lua, base + 1);
            let status = ffi::lua_pcall(lua, 2, 0, HANDLER);
            ffi::lua_unref(lua, migration.0);
            (base, status)
        };
        let limit = self.finish();
        self.outcome(base, status, limit).map_err(|raised| {
            let text = format!("migrate(): {}", raised.text);
            Raised { text, ..raised }
        })
    }
}
