//! `require`: runs modules, once each.
//!
//! Modules run among the globals of the script and may themselves require others. The table of what
//! is loaded stands in the registry, where snapshots find the functions of modules.

use std::ffi::c_int;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::coverage;
use super::function;
use super::library;
use crate::sandbox::api;
use crate::sandbox::api::require::find;
use crate::sandbox::context::Context;

/// The name of the table of loaded modules in the registry.
pub(super) const LOADED: &std::ffi::CStr = c"heka.loaded";

/// Makes `require` known.
///
/// # Safety
/// Must run protected, before the globals are sealed; `context` must outlive the state.
pub(super) unsafe fn install(lua: *mut lua_State, context: *mut Context) {
    // SAFETY: runs protected.
    unsafe {
        ffi::lua_createtable(lua, 0, 8);
        for name in [
            c"string",
            c"table",
            c"math",
            c"os",
            c"coroutine",
            c"bit32",
            c"utf8",
            c"buffer",
            c"integer",
            c"cjson",
            c"circular_buffer",
            c"lpeg",
            c"io",
        ] {
            if ffi::lua_getfield(lua, ffi::LUA_GLOBALSINDEX, name.as_ptr()) == ffi::LUA_TTABLE {
                ffi::lua_setfield(lua, -2, name.as_ptr());
            } else {
                ffi::lua_settop(lua, -2);
            }
        }
        ffi::lua_setfield(lua, ffi::LUA_REGISTRYINDEX, LOADED.as_ptr());
        ffi::lua_pushlightuserdata(lua, context.cast());
        ffi::lua_pushcclosurek(lua, require, c"require".as_ptr(), 1, None);
        ffi::lua_setfield(lua, ffi::LUA_GLOBALSINDEX, c"require".as_ptr());
    }
}

unsafe extern "C-unwind" fn require(lua: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; the context outlives the state and is referred to by nothing else while
    // Lua runs; nothing must be dropped when an error is raised, for the module's code stays in the
    // context.
    unsafe {
        let context = ffi::lua_tolightuserdata(lua, ffi::lua_upvalueindex(1)).cast::<Context>();
        let mut length = 0;
        let start = ffi::luaL_checklstring(lua, 1, &raw mut length);
        ffi::lua_settop(lua, 1);
        ffi::lua_getfield(lua, ffi::LUA_REGISTRYINDEX, LOADED.as_ptr());
        ffi::lua_pushvalue(lua, 1);
        match ffi::lua_rawget(lua, 2) {
            ffi::LUA_TNIL => ffi::lua_settop(lua, 2),
            ffi::LUA_TLIGHTUSERDATA => {
                ffi::luaL_error(lua, c"module '%s' requires itself".as_ptr(), start)
            }
            _ => return 1,
        }
        let name = std::slice::from_raw_parts(start.cast::<u8>(), length);
        if let Some(native) = api::native(name, &(*context).setting) {
            library::push_library(lua, context, native);
            ffi::lua_pushvalue(lua, 1);
            ffi::lua_pushvalue(lua, -2);
            ffi::lua_settable(lua, ffi::LUA_GLOBALSINDEX);
            ffi::lua_pushvalue(lua, 1);
            ffi::lua_pushvalue(lua, -2);
            ffi::lua_rawset(lua, 2);
            return 1;
        }
        let found = catch_unwind(AssertUnwindSafe(|| match find(&mut *context, name) {
            Ok(()) => true,
            Err(complaint) => {
                (*context).complain(complaint);
                false
            }
        }));
        match found {
            Ok(true) => {}
            Ok(false) => function::raise(lua, (*context).complaint()),
            Err(_) => function::raise(lua, "require() failed: this is a fault in Heka"),
        }
        let (chunk, code) = &(*context).module;
        if ffi::luau_load(lua, chunk.as_ptr(), code.as_ptr().cast(), code.len(), 0) != 0 {
            ffi::lua_error(lua);
        }
        if (*context).setting.is_covered {
            coverage::keep(lua, chunk.as_c_str());
        }
        // A mark for as long as the module is being loaded.
        ffi::lua_pushvalue(lua, 1);
        ffi::lua_pushlightuserdata(lua, std::ptr::null_mut());
        ffi::lua_rawset(lua, 2);
        ffi::lua_pushvalue(lua, 1);
        let status = ffi::lua_pcall(lua, 1, 1, 0);
        if status == 0 && ffi::lua_type(lua, -1) == ffi::LUA_TNIL {
            // The module returned nothing: it may have entered itself, by `module`.
            ffi::lua_settop(lua, -2);
            ffi::lua_pushvalue(lua, 1);
            if ffi::lua_rawget(lua, 2) == ffi::LUA_TLIGHTUSERDATA {
                ffi::lua_settop(lua, -2);
                ffi::lua_pushboolean(lua, 1);
            }
        }
        ffi::lua_pushvalue(lua, 1);
        if status == 0 {
            ffi::lua_pushvalue(lua, -2);
        } else {
            ffi::lua_pushnil(lua);
        }
        ffi::lua_rawset(lua, 2);
        if status != 0 {
            ffi::lua_error(lua);
        }
        1
    }
}
