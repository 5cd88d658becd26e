//! `module` and `package`, as Lua 5.1 has them.
//!
//! `package` has what scripts use of it: `loaded`, the table of modules, and `seeall`. Paths and
//! loaders are the host's.

use std::ffi::c_int;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::require::LOADED;

/// The longest name of a module, in bytes.
const MAX_NAME: usize = 200;

/// Makes `module` and `package` known.
///
/// # Safety
/// Must run protected, before the globals are sealed and after `require` was made known.
pub(super) unsafe fn install(lua: *mut lua_State) {
    // SAFETY: runs protected.
    unsafe {
        ffi::lua_createtable(lua, 0, 2);
        ffi::lua_rawgetfield(lua, ffi::LUA_REGISTRYINDEX, LOADED.as_ptr());
        ffi::lua_setfield(lua, -2, c"loaded".as_ptr());
        ffi::lua_pushcclosurek(lua, seeall, c"seeall".as_ptr(), 0, None);
        ffi::lua_setfield(lua, -2, c"seeall".as_ptr());
        ffi::lua_setfield(lua, ffi::LUA_GLOBALSINDEX, c"package".as_ptr());
        ffi::lua_pushcclosurek(lua, module, c"module".as_ptr(), 0, None);
        ffi::lua_setfield(lua, ffi::LUA_GLOBALSINDEX, c"module".as_ptr());
    }
}

/// `module(name[, option...])` makes a table the environment of the function that calls it; each
/// option is called with the table.
unsafe extern "C-unwind" fn module(lua: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing must be dropped when an error is raised.
    unsafe {
        let mut length = 0;
        let start = ffi::luaL_checklstring(lua, 1, &raw mut length);
        let name = std::slice::from_raw_parts(start.cast::<u8>(), length);
        let options = ffi::lua_gettop(lua);
        if length > MAX_NAME {
            ffi::luaL_error(lua, c"bad argument #1 to 'module' (name is too long)".as_ptr());
        }
        ffi::lua_rawgetfield(lua, ffi::LUA_REGISTRYINDEX, LOADED.as_ptr());
        let loaded = options + 1;
        ffi::lua_pushvalue(lua, 1);
        if ffi::lua_rawget(lua, loaded) != ffi::LUA_TTABLE {
            ffi::lua_settop(lua, loaded);
            find(lua, name);
            ffi::lua_pushvalue(lua, 1);
            ffi::lua_pushvalue(lua, -2);
            ffi::lua_rawset(lua, loaded);
        }
        let table = loaded + 1;
        describe(lua, table, name);
        let mut caller = std::mem::zeroed::<ffi::lua_Debug>();
        if ffi::lua_getinfo(lua, 1, c"f".as_ptr(), &raw mut caller) == 0
            || ffi::lua_iscfunction(lua, -1) != 0
        {
            ffi::luaL_error(lua, c"'module' is not called from a Lua function".as_ptr());
        }
        ffi::lua_pushvalue(lua, table);
        ffi::lua_setfenv(lua, -2);
        for option in 2..=options {
            ffi::lua_settop(lua, table);
            ffi::lua_pushvalue(lua, option);
            ffi::lua_pushvalue(lua, table);
            ffi::lua_call(lua, 1, 0);
        }
        0
    }
}

/// Pushes the table that a name with dots leads to from the globals, made where it is not there.
unsafe fn find(lua: *mut lua_State, name: &[u8]) {
    // SAFETY: runs in a call, where errors may be raised; the name is held by the argument.
    unsafe {
        ffi::lua_pushvalue(lua, ffi::LUA_GLOBALSINDEX);
        let at = ffi::lua_gettop(lua);
        for part in name.split(|byte| *byte == b'.') {
            ffi::lua_pushlstring_(lua, part.as_ptr().cast(), part.len());
            ffi::lua_pushvalue(lua, -1);
            match ffi::lua_rawget(lua, at) {
                ffi::LUA_TTABLE => {}
                ffi::LUA_TNIL => {
                    ffi::lua_settop(lua, at + 1);
                    ffi::lua_createtable(lua, 0, 4);
                    ffi::lua_pushvalue(lua, at + 1);
                    ffi::lua_pushvalue(lua, at + 2);
                    ffi::lua_settable(lua, at);
                }
                _ => {
                    ffi::luaL_error(lua, c"name conflict for module".as_ptr());
                }
            }
            ffi::lua_replace(lua, at);
            ffi::lua_settop(lua, at);
        }
    }
}

/// Gives a new module `_M`, `_NAME` and `_PACKAGE`.
unsafe fn describe(lua: *mut lua_State, table: c_int, name: &[u8]) {
    // SAFETY: runs in a call, where errors may be raised; there is a table at the slot.
    unsafe {
        if ffi::lua_rawgetfield(lua, table, c"_NAME".as_ptr()) == ffi::LUA_TNIL {
            ffi::lua_pushvalue(lua, table);
            ffi::lua_setfield(lua, table, c"_M".as_ptr());
            ffi::lua_pushvalue(lua, 1);
            ffi::lua_setfield(lua, table, c"_NAME".as_ptr());
            let parent = name.iter().rposition(|byte| *byte == b'.').map_or(0, |at| at + 1);
            ffi::lua_pushlstring_(lua, name.as_ptr().cast(), parent);
            ffi::lua_setfield(lua, table, c"_PACKAGE".as_ptr());
        }
        ffi::lua_settop(lua, table);
    }
}

/// `package.seeall(table)` lets the functions of a module see the globals.
unsafe extern "C-unwind" fn seeall(lua: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing must be dropped when an error is raised.
    unsafe {
        ffi::luaL_checktype(lua, 1, ffi::LUA_TTABLE);
        ffi::lua_settop(lua, 1);
        if ffi::lua_getmetatable(lua, 1) == 0 {
            ffi::lua_createtable(lua, 0, 1);
            ffi::lua_pushvalue(lua, -1);
            ffi::lua_setmetatable(lua, 1);
        }
        ffi::lua_pushvalue(lua, ffi::LUA_GLOBALSINDEX);
        ffi::lua_setfield(lua, 2, c"__index".as_ptr());
        0
    }
}
