//! `string.gsub`, with the replacements that Lua 5.1 takes.
//!
//! There a `%` before anything but a digit stands for what follows it; Luau's own refuses it unless
//! another `%` does.

use std::ffi::c_int;

use mlua::ffi;
use mlua::ffi::lua_State;

/// Puts the function in the place of `string.gsub`.
///
/// # Safety
/// Must run protected.
pub(super) unsafe fn replace(lua: *mut lua_State) {
    // SAFETY: runs protected; the library has just been opened.
    unsafe {
        ffi::lua_getfield(lua, ffi::LUA_GLOBALSINDEX, c"string".as_ptr());
        ffi::lua_getfield(lua, -1, c"gsub".as_ptr());
        ffi::lua_pushcclosurek(lua, gsub, c"gsub".as_ptr(), 1, None);
        ffi::lua_setfield(lua, -2, c"gsub".as_ptr());
        ffi::lua_settop(lua, -2);
    }
}

unsafe extern "C-unwind" fn gsub(lua: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; the replacement is held by its slot; nothing must be dropped when an error
    // is raised.
    unsafe {
        let count = ffi::lua_gettop(lua);
        if count >= 3 && ffi::lua_type(lua, 3) == ffi::LUA_TSTRING {
            let mut length = 0;
            let start = ffi::lua_tolstring(lua, 3, &raw mut length);
            let text = std::slice::from_raw_parts(start.cast::<u8>(), length);
            if is_refused(text) {
                push_plain(lua, text);
                ffi::lua_replace(lua, 3);
            }
        }
        ffi::lua_pushvalue(lua, ffi::lua_upvalueindex(1));
        ffi::lua_insert(lua, 1);
        ffi::lua_call(lua, count, ffi::LUA_MULTRET);
        ffi::lua_gettop(lua)
    }
}

/// Tells whether Luau would refuse the replacement.
fn is_refused(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'%', rest) {
        match rest.get(at + 1) {
            Some(byte) if byte.is_ascii_digit() || *byte == b'%' => rest = &rest[at + 2..],
            Some(_) => return true,
            None => return false,
        }
    }
    false
}

/// Pushes the replacement without each `%` that stands before something else than a digit or another.
///
/// # Safety
/// Must run inside a call; the text must be held by a slot.
unsafe fn push_plain(lua: *mut lua_State, text: &[u8]) {
    // SAFETY: the room has the length of the text and is held by its slot until the end.
    unsafe {
        let room = ffi::lua_newbuffer(lua, text.len()).cast::<u8>();
        let mut length = 0;
        let mut at = 0;
        while at < text.len() {
            if text[at] == b'%' && at + 1 < text.len() {
                let next = text[at + 1];
                if next.is_ascii_digit() || next == b'%' {
                    room.add(length).write(b'%');
                    length += 1;
                }
                at += 1;
            }
            room.add(length).write(text[at]);
            length += 1;
            at += 1;
        }
        ffi::lua_pushlstring_(lua, room.cast(), length);
        ffi::lua_remove(lua, -2);
    }
}
