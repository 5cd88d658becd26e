//! `string.find`, with the plain search in linear time.
//!
//! Luau's own compares at every place where the first byte fits, which takes a script minutes of
//! uninterruptible time on the wrong text. Patterns go to the original.

use std::ffi::c_int;

use memchr::memmem;
use mlua::ffi;
use mlua::ffi::lua_State;

/// Puts the function in the place of `string.find`.
///
/// # Safety
/// Must run protected.
pub(super) unsafe fn replace(lua: *mut lua_State) {
    // SAFETY: runs protected; the library has just been opened.
    unsafe {
        ffi::lua_getfield(lua, ffi::LUA_GLOBALSINDEX, c"string".as_ptr());
        ffi::lua_getfield(lua, -1, c"find".as_ptr());
        ffi::lua_pushcclosurek(lua, find, c"find".as_ptr(), 1, None);
        ffi::lua_setfield(lua, -2, c"find".as_ptr());
        ffi::lua_settop(lua, -2);
    }
}

unsafe extern "C-unwind" fn find(lua: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; the strings are held by their slots; nothing must be dropped when an
    // error is raised.
    unsafe {
        let mut text_length = 0;
        let mut wanted_length = 0;
        let text = ffi::luaL_checklstring(lua, 1, &raw mut text_length);
        let wanted = ffi::luaL_checklstring(lua, 2, &raw mut wanted_length);
        let text = std::slice::from_raw_parts(text.cast::<u8>(), text_length);
        let wanted = std::slice::from_raw_parts(wanted.cast::<u8>(), wanted_length);
        if ffi::lua_toboolean(lua, 4) == 0 && wanted.iter().any(|byte| b"^$*+?.([%-".contains(byte))
        {
            let count = ffi::lua_gettop(lua);
            ffi::lua_pushvalue(lua, ffi::lua_upvalueindex(1));
            ffi::lua_insert(lua, 1);
            ffi::lua_call(lua, count, ffi::LUA_MULTRET);
            return ffi::lua_gettop(lua);
        }
        let start = start_of(ffi::luaL_optnumber(lua, 3, 1.0), text_length);
        let found = text.get(start..).and_then(|rest| memmem::find(rest, wanted));
        match found {
            None => {
                ffi::lua_pushnil(lua);
                1
            }
            Some(at) => {
                ffi::lua_pushnumber(lua, (start + at + 1) as f64);
                ffi::lua_pushnumber(lua, (start + at + wanted_length) as f64);
                2
            }
        }
    }
}

/// The offset that Lua's `init` stands for; past the end where nothing can be found.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is checked, and such casts saturate"
)]
fn start_of(init: f64, length: usize) -> usize {
    let init = if init.is_nan() { 1.0 } else { init.trunc() };
    if init > 0.0 {
        (init - 1.0) as usize
    } else if init == 0.0 {
        0
    } else {
        length.saturating_sub(-init as usize)
    }
}
