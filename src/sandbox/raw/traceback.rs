//! The traceback of an error, written down where the error is raised.
//!
//! Nothing here allocates in Lua, so it works when memory is what ran out.

use std::ffi::CStr;
use std::ffi::c_int;
use std::fmt::Write;
use std::mem::MaybeUninit;

use mlua::ffi;
use mlua::ffi::lua_State;

use crate::sandbox::context::Context;

/// Levels shown from the top; deeper ones are counted.
const LEVELS: c_int = 16;

/// The message handler of every call from the host: notes the traceback, leaves the error as is.
///
/// Its upvalue is the context.
pub(super) unsafe extern "C-unwind" fn handler(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua with the error as its argument; the context outlives the state. Writing
    // to a string does not panic.
    unsafe {
        let context = ffi::lua_tolightuserdata(state, ffi::lua_upvalueindex(1)).cast::<Context>();
        let text = (*context).traceback();
        text.clear();
        let mut depth = ffi::lua_stackdepth(state);
        // At the bottom stands what calls the script for each message.
        depth -= c_int::from(depth > 1 && is_native(state, depth - 1));
        for level in 1..depth.min(LEVELS) {
            write_level(state, level, text);
        }
        if depth > LEVELS {
            let _ = write!(text, "\n\t... {} more", depth - LEVELS);
        }
    }
    1
}

unsafe fn is_native(state: *mut lua_State, level: c_int) -> bool {
    let mut record = MaybeUninit::<ffi::lua_Debug>::zeroed();
    // SAFETY: as in `write_level`.
    unsafe {
        ffi::lua_getinfo(state, level, c"s".as_ptr(), record.as_mut_ptr()) != 0
            && !record.assume_init_ref().what.is_null()
            && CStr::from_ptr(record.assume_init_ref().what) == c"C"
    }
}

unsafe fn write_level(state: *mut lua_State, level: c_int, text: &mut String) {
    let mut record = MaybeUninit::<ffi::lua_Debug>::zeroed();
    // SAFETY: all fields may be zero; Lua fills in those asked for, and the strings it points to
    // are held by the function on the stack.
    unsafe {
        if ffi::lua_getinfo(state, level, c"sln".as_ptr(), record.as_mut_ptr()) == 0 {
            return;
        }
        let record = record.assume_init_ref();
        let word = |at: *const std::ffi::c_char| {
            if at.is_null() { None } else { Some(CStr::from_ptr(at).to_string_lossy()) }
        };
        let source = word(record.short_src).unwrap_or_default();
        let name = word(record.name).unwrap_or("the main chunk".into());
        let _ = if record.currentline > 0 {
            write!(text, "\n\t{source}:{} in {name}", record.currentline)
        } else {
            write!(text, "\n\t{source} in {name}")
        };
    }
}
