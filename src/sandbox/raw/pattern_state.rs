//! Patterns in snapshots.
//!
//! A pattern does not change, so of one that loading the script makes, a snapshot has only what it is
//! told by: a restore finds it among those that loading has made anew. Under another version of the
//! script what loading has put into the place of a pattern stays. A pattern made while the script ran
//! is kept whole, unless it refers to functions, which cannot be kept.
//!
//! The values that patterns refer to are walked like those of tables, for functions among them have
//! locals of their own.

use std::ffi::CStr;
use std::ffi::c_int;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::object;
use super::pattern;
use super::restore::Filling;
use super::restore::Known;
use super::restore::OBJECTS;
use super::save::Lists;
use super::save::Walk;
use super::save::number;
use crate::sandbox::pattern as held;
use crate::sandbox::snapshot::format::Saved;
use crate::sandbox::snapshot::format::Writer;

/// Where the patterns that loading has made are in the registry, during a restore.
const LOADED: &CStr = c"heka.lpeg.loaded";

impl Walk {
    /// Writes the values of the pattern on top.
    ///
    /// # Safety
    /// Must run protected; the pattern is in its list.
    pub(super) unsafe fn pattern(
        &mut self,
        lua: *mut lua_State,
        lists: Lists,
        index: usize,
        writer: &mut Writer,
    ) {
        // SAFETY: runs protected; every value pushed is popped again.
        unsafe {
            let slot = ffi::lua_gettop(lua);
            let identity = object::at(lua, slot)
                .and_then(|cell| cell.try_borrow().ok()?.as_pattern()?.identity());
            if let Some(identity) = identity {
                self.patterns.insert(identity, index);
                if ffi::lua_rawgetfield(lua, ffi::LUA_REGISTRYINDEX, LOADED.as_ptr())
                    == ffi::LUA_TTABLE
                {
                    ffi::lua_pushvalue(lua, slot);
                    ffi::lua_rawseti_(lua, -2, number(index + 1));
                }
                ffi::lua_settop(lua, slot);
            }
            let count = pattern::value_count(lua, slot);
            if count == 0 || !pattern::push_values(lua, slot) {
                writer.count(0);
                return;
            }
            let path = self.paths[index].clone();
            writer.count(usize::try_from(count).unwrap_or(0));
            for value in 1..=count {
                ffi::lua_rawgeti_(lua, slot + 1, value);
                let path = [&path[..], format!("#{value}").as_bytes()].concat();
                // A function of a pattern that cannot be made again is lost with all it holds.
                let is_lost =
                    identity.is_none() && ffi::lua_type(lua, slot + 2) == ffi::LUA_TFUNCTION;
                let saved = if is_lost {
                    Saved::Left { is_host: false }
                } else {
                    self.value(lua, lists, slot + 2, &path)
                };
                writer.value(saved);
                ffi::lua_settop(lua, slot + 1);
            }
            ffi::lua_settop(lua, slot);
        }
    }
}

/// Makes room for the patterns that a walk finds, or takes it away.
///
/// # Safety
/// Must run protected.
pub(super) unsafe fn collect_loaded(lua: *mut lua_State, begins: bool) {
    // SAFETY: runs protected.
    unsafe {
        if begins {
            ffi::lua_createtable(lua, 0, 0);
        } else {
            ffi::lua_pushnil(lua);
        }
        ffi::lua_rawsetfield(lua, ffi::LUA_REGISTRYINDEX, LOADED.as_ptr());
    }
}

impl<'a> Filling<'a> {
    /// Pushes the pattern that a saved one stands for, given what is in its place; nil when there is
    /// none.
    ///
    /// # Safety
    /// Must run protected.
    pub(super) unsafe fn take_pattern(
        &mut self,
        current: c_int,
        state: &[u8],
        values: &[Saved<'a>],
        path: &[u8],
    ) -> bool {
        // SAFETY: runs protected.
        unsafe {
            let lua = self.lua;
            let has_current = pattern::is_pattern(lua, current);
            match held::Saved::read(state) {
                Some(held::Saved::Loaded(identity)) => {
                    let found = self.patterns.get(&identity).copied();
                    if let Some(index) = found.filter(|_| self.is_same || !has_current) {
                        ffi::lua_rawgetfield(lua, ffi::LUA_REGISTRYINDEX, LOADED.as_ptr());
                        ffi::lua_rawgeti_(lua, -1, number(index + 1));
                        ffi::lua_remove(lua, -2);
                    } else if has_current {
                        ffi::lua_pushvalue(lua, current);
                    } else {
                        self.note(path, "loading the script makes no such pattern any more");
                        ffi::lua_pushnil(lua);
                    }
                    true
                }
                Some(held::Saved::Made(_))
                    if values.iter().any(|value| matches!(value, Saved::Left { .. })) =>
                {
                    self.note(path, "patterns with functions, made while running, are not kept");
                    ffi::lua_pushnil(lua);
                    false
                }
                Some(held::Saved::Made(made)) => {
                    *(*self.context).parked() = Some(Box::new(made));
                    object::push(lua, (*self.context).parked());
                    if !values.is_empty() {
                        let made = ffi::lua_gettop(lua);
                        ffi::lua_createtable(lua, number(values.len()), 0);
                        pattern::give(lua, made, pattern::VALUES);
                    }
                    false
                }
                None => {
                    self.note(path, "its state is damaged");
                    ffi::lua_pushnil(lua);
                    false
                }
            }
        }
    }

    /// Gives a pattern the values it refers to, or those values what they held.
    ///
    /// # Safety
    /// Must run protected.
    pub(super) unsafe fn fill_pattern(&mut self, index: usize, values: &[Saved<'a>]) {
        if values.is_empty() || self.known[index] == Known::Not {
            return;
        }
        // SAFETY: runs protected; every value pushed is popped again.
        unsafe {
            let lua = self.lua;
            let (slot, list) = (OBJECTS + 1, OBJECTS + 2);
            ffi::lua_rawgeti_(lua, OBJECTS, number(index));
            if !pattern::is_pattern(lua, slot) || !pattern::push_values(lua, slot) {
                return;
            }
            for (place, value) in (1..).zip(values) {
                ffi::lua_rawgeti_(lua, list, place);
                let is_pushed = self.value(*value, list + 1, b"a value of a pattern");
                if is_pushed && self.known[index] == Known::New {
                    ffi::lua_rawseti_(lua, list, place);
                }
                ffi::lua_settop(lua, list);
            }
        }
    }
}
