//! `tostring`, without addresses.
//!
//! Addresses differ from run to run, and a filter gives the same answers to the same journal.

use std::ffi::c_int;

use mlua::ffi;
use mlua::ffi::lua_State;

/// Puts the function in the place of `tostring`.
///
/// # Safety
/// Must run protected.
pub(super) unsafe fn replace(lua: *mut lua_State) {
    // SAFETY: runs protected; the library is open.
    unsafe {
        ffi::lua_getfield(lua, ffi::LUA_GLOBALSINDEX, c"tostring".as_ptr());
        ffi::lua_pushcclosurek(lua, tostring, c"tostring".as_ptr(), 1, None);
        ffi::lua_setfield(lua, ffi::LUA_GLOBALSINDEX, c"tostring".as_ptr());
    }
}

unsafe extern "C-unwind" fn tostring(lua: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing must be dropped when an error is raised.
    unsafe {
        ffi::luaL_checkany(lua, 1);
        ffi::lua_settop(lua, 1);
        let kind = ffi::lua_type(lua, 1);
        let has_address = kind >= ffi::LUA_TTABLE || kind == ffi::LUA_TLIGHTUSERDATA;
        // A field that is there is pushed, above where the call begins.
        let is_plain =
            has_address && ffi::luaL_getmetafield_(lua, 1, c"__tostring".as_ptr()) == ffi::LUA_TNIL;
        if is_plain {
            ffi::lua_pushfstring(lua, c"%s: 0x0".as_ptr(), ffi::luaL_typename(lua, 1));
            return 1;
        }
        ffi::lua_pushvalue(lua, ffi::lua_upvalueindex(1));
        ffi::lua_pushvalue(lua, 1);
        ffi::lua_call(lua, 1, 1);
        1
    }
}
