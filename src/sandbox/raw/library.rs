//! Fills a state with what scripts can call, and seals it.

use std::ffi::CStr;
use std::ffi::c_int;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::find;
use super::function;
use super::function::Library;
use super::function::Named;
use super::function::ObjectKind;
use super::gsub;
use super::object;
use super::package;
use super::require;
use super::round;
use super::state::Raised;
use super::state::State;
use super::text;
use super::traceback;
use crate::sandbox::context::Context;

/// The tags of `msg` and `msg.Fields`.
const MESSAGE_TAG: c_int = object::TAGS + 1;
const FIELDS_TAG: c_int = object::TAGS + 2;

/// The name of the function that calls `process_message` for many messages.
const EACH: &CStr = c"heka.each";

impl State {
    /// Puts host functions into the library `name`, or among the globals; a library that is there
    /// is added to.
    pub(in crate::sandbox) fn library(
        &mut self,
        name: Option<&'static CStr>,
        functions: &[Named],
    ) -> Result<(), Raised> {
        let context = self.context_pointer();
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state; the context outlives it.
            unsafe {
                match name {
                    None => ffi::lua_pushvalue(lua, ffi::LUA_GLOBALSINDEX),
                    Some(name) => library(lua, name),
                }
                for named in functions {
                    function::push(lua, context, *named);
                    ffi::lua_setfield(lua, -2, named.0.as_ptr());
                }
            }
        })
    }

    /// Puts a host function that walks deep tables into a library.
    pub(in crate::sandbox) fn deep_function(
        &mut self,
        name: &'static CStr,
        named: Named,
    ) -> Result<(), Raised> {
        let context = self.context_pointer();
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state; the context outlives it.
            unsafe {
                library(lua, name);
                function::push_deep(lua, context, named);
                ffi::lua_setfield(lua, -2, named.0.as_ptr());
            }
        })
    }

    /// Puts the value that stands for null into a library, as `null`.
    pub(in crate::sandbox) fn null_constant(&mut self, name: &'static CStr) -> Result<(), Raised> {
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state.
            unsafe {
                library(lua, name);
                ffi::lua_pushlightuserdata(lua, std::ptr::null_mut());
                ffi::lua_setfield(lua, -2, c"null".as_ptr());
            }
        })
    }

    /// Puts the native object that is parked in the context into a library, whose kind is known.
    pub(in crate::sandbox) fn parked_constant(
        &mut self,
        library_name: &'static CStr,
        name: &'static CStr,
    ) -> Result<(), Raised> {
        let context = self.context_pointer();
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state; the context outlives it.
            unsafe {
                library(lua, library_name);
                ffi::lua_setreadonly(lua, -1, 0);
                object::push(lua, (*context).parked());
                ffi::lua_setfield(lua, -2, name.as_ptr());
                ffi::lua_setreadonly(lua, -1, 1);
            }
        })
    }

    /// Puts a text into a library.
    pub(in crate::sandbox) fn text_constant(
        &mut self,
        library_name: &'static CStr,
        name: &'static CStr,
        text: &'static CStr,
    ) -> Result<(), Raised> {
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state.
            unsafe {
                library(lua, library_name);
                ffi::lua_pushstring_(lua, text.as_ptr());
                ffi::lua_setfield(lua, -2, name.as_ptr());
            }
        })
    }

    /// Takes globals, or members of a library, away.
    pub(in crate::sandbox) fn remove(
        &mut self,
        library_name: Option<&'static CStr>,
        names: &[&'static CStr],
    ) -> Result<(), Raised> {
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state.
            unsafe {
                match library_name {
                    None => ffi::lua_pushvalue(lua, ffi::LUA_GLOBALSINDEX),
                    Some(name) => library(lua, name),
                }
                for name in names {
                    ffi::lua_pushnil(lua);
                    ffi::lua_setfield(lua, -2, name.as_ptr());
                }
            }
        })
    }

    /// Makes a library known that scripts may use without `require`.
    pub(in crate::sandbox) fn open(&mut self, library: &'static Library) -> Result<(), Raised> {
        let context = self.context_pointer();
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state; the context outlives it.
            unsafe {
                push_library(lua, context, library);
                ffi::lua_setfield(lua, ffi::LUA_GLOBALSINDEX, library.name.as_ptr());
            }
        })
    }

    /// Makes a kind of native object known.
    pub(in crate::sandbox) fn kind(&mut self, kind: &'static ObjectKind) -> Result<(), Raised> {
        let context = self.context_pointer();
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state; the context outlives it.
            unsafe { prepare_kind(lua, context, kind) }
        })
    }

    /// Makes `msg` and `msg.Fields`, whose members the two functions find; returns the number
    /// under which `msg.Fields` is kept.
    pub(in crate::sandbox) fn message_object(
        &mut self,
        member: Named,
        field: Named,
    ) -> Result<c_int, Raised> {
        let context = self.context_pointer();
        let mut kept = 0;
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state; the context outlives it.
            unsafe {
                let make = |tag, type_name, named| {
                    ffi::lua_createtable(lua, 0, 3);
                    function::push(lua, context, named);
                    ffi::lua_setfield(lua, -2, c"__index".as_ptr());
                    name_type(lua, type_name);
                    ffi::lua_setuserdatametatable(lua, tag);
                    ffi::lua_newuserdatataggedwithmetatable(lua, 0, tag);
                };
                make(FIELDS_TAG, c"Fields", field);
                kept = ffi::lua_ref(lua, -1);
                make(MESSAGE_TAG, c"Message", member);
                ffi::lua_rawsetfield(lua, ffi::LUA_REGISTRYINDEX, c"heka.msg".as_ptr());
            }
        })?;
        Ok(kept)
    }

    /// Makes `require`, `module` and `package` known.
    pub(in crate::sandbox) fn require(&mut self) -> Result<(), Raised> {
        let context = self.context_pointer();
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state; the context outlives it.
            unsafe {
                require::install(lua, context);
                package::install(lua);
            }
        })
    }

    /// Freezes libraries and metatables, gives the script globals of its own, and lays the bottom
    /// of the stack.
    pub(in crate::sandbox) fn seal(&mut self) -> Result<(), Raised> {
        let context = self.context_pointer();
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state; the functions are left without upvalues
            // that are theirs alone.
            unsafe {
                find::replace(lua);
                gsub::replace(lua);
                text::replace(lua);
                old_names(lua);
                ffi::luaL_sandbox(lua, 1);
                ffi::luaL_sandboxthread(lua);
                // What a script writes into `_G` are its globals, not those of the host.
                ffi::lua_pushvalue(lua, ffi::LUA_GLOBALSINDEX);
                ffi::lua_rawsetfield(lua, ffi::LUA_GLOBALSINDEX, c"_G".as_ptr());
                ffi::lua_pushlightuserdata(lua, context.cast());
                ffi::lua_pushcclosurek(lua, traceback::handler, std::ptr::null(), 1, None);
                ffi::lua_rawsetfield(lua, ffi::LUA_REGISTRYINDEX, c"heka.handler".as_ptr());
                ffi::lua_pushcclosurek(lua, round::each, std::ptr::null(), 0, None);
                ffi::lua_rawsetfield(lua, ffi::LUA_REGISTRYINDEX, EACH.as_ptr());
                for name in [c"process_message", c"timer_event"] {
                    ffi::lua_pushstring_(lua, name.as_ptr());
                    ffi::lua_rawsetfield(lua, ffi::LUA_REGISTRYINDEX, name.as_ptr());
                }
            }
        })?;
        let mut slots = 0;
        // SAFETY: the names are strings that exist already, so nothing is allocated.
        unsafe {
            ffi::lua_rawcheckstack(self.lua, 32);
            for name in [c"heka.handler", c"heka.msg", c"process_message", c"timer_event", EACH] {
                ffi::lua_rawgetfield(self.lua, ffi::LUA_REGISTRYINDEX, name.as_ptr());
                slots += 1;
            }
            debug_assert_eq!(ffi::lua_gettop(self.lua), slots, "the stack was empty");
        }
        Ok(())
    }
}

/// Makes a kind of native object known, unless it is already.
///
/// # Safety
/// Must run where an error may be raised; `context` must outlive the state.
pub(super) unsafe fn prepare_kind(
    lua: *mut lua_State,
    context: *mut Context,
    kind: &'static ObjectKind,
) {
    // SAFETY: the caller's promise; the tag is prepared in one step that cannot fail.
    unsafe {
        if ffi::lua_getuserdatadtor(lua, c_int::from(kind.tag)).is_some() {
            return;
        }
        ffi::lua_createtable(lua, 0, 4);
        push_functions(lua, context, kind.methods);
        ffi::lua_setreadonly(lua, -1, 1);
        ffi::lua_setfield(lua, -2, c"__index".as_ptr());
        for named in kind.metamethods {
            function::push(lua, context, *named);
            ffi::lua_setfield(lua, -2, named.0.as_ptr());
        }
        name_type(lua, kind.name);
        object::prepare(lua, kind.tag);
    }
}

/// Pushes a library as a table, with its kinds of objects made known.
///
/// # Safety
/// As for [`prepare_kind`].
pub(super) unsafe fn push_library(
    lua: *mut lua_State,
    context: *mut Context,
    library: &'static Library,
) {
    // SAFETY: the caller's promise.
    unsafe {
        for kind in library.kinds {
            prepare_kind(lua, context, kind);
        }
        push_functions(lua, context, library.functions);
        for (name, functions) in library.parts {
            push_functions(lua, context, functions);
            ffi::lua_setreadonly(lua, -1, 1);
            ffi::lua_setfield(lua, -2, name.as_ptr());
        }
        ffi::lua_setreadonly(lua, -1, 1);
    }
}

/// Pushes a table of functions.
unsafe fn push_functions(lua: *mut lua_State, context: *mut Context, functions: &[Named]) {
    // SAFETY: as for `prepare_kind`.
    unsafe {
        ffi::lua_createtable(lua, 0, c_int::try_from(functions.len()).unwrap_or(0));
        for named in functions {
            function::push(lua, context, *named);
            ffi::lua_setfield(lua, -2, named.0.as_ptr());
        }
    }
}

/// Pushes the library called `name`, made if it is not there.
unsafe fn library(lua: *mut lua_State, name: &'static CStr) {
    // SAFETY: runs protected.
    unsafe {
        if ffi::lua_getfield(lua, ffi::LUA_GLOBALSINDEX, name.as_ptr()) != ffi::LUA_TTABLE {
            ffi::lua_settop(lua, -2);
            ffi::lua_createtable(lua, 0, 8);
            ffi::lua_pushvalue(lua, -1);
            ffi::lua_setfield(lua, ffi::LUA_GLOBALSINDEX, name.as_ptr());
        }
    }
}

/// Makes functions known under the names they had in Lua 5.1, and says that this is what it is.
unsafe fn old_names(lua: *mut lua_State) {
    // SAFETY: runs protected; the libraries are open.
    unsafe {
        for (name, new, old) in [(c"string", c"gmatch", c"gfind"), (c"math", c"fmod", c"mod")] {
            library(lua, name);
            ffi::lua_getfield(lua, -1, new.as_ptr());
            ffi::lua_setfield(lua, -2, old.as_ptr());
            ffi::lua_settop(lua, -2);
        }
        ffi::lua_pushstring_(lua, c"Lua 5.1".as_ptr());
        ffi::lua_setfield(lua, ffi::LUA_GLOBALSINDEX, c"_VERSION".as_ptr());
    }
}

/// Names the type of the metatable on top, and keeps scripts from it.
unsafe fn name_type(lua: *mut lua_State, name: &'static CStr) {
    // SAFETY: runs protected.
    unsafe {
        ffi::lua_pushstring_(lua, name.as_ptr());
        ffi::lua_setfield(lua, -2, c"__type".as_ptr());
        ffi::lua_pushstring_(lua, c"locked".as_ptr());
        ffi::lua_setfield(lua, -2, c"__metatable".as_ptr());
        ffi::lua_setreadonly(lua, -1, 1);
    }
}

/// Opens the libraries of Lua that scripts may have.
///
/// # Safety
/// Must run protected, in an open state.
pub(super) unsafe fn open(lua: *mut lua_State) {
    let libraries: [(&CStr, ffi::lua_CFunction); 9] = [
        (c"", ffi::luaopen_base),
        (c"coroutine", ffi::luaopen_coroutine),
        (c"table", ffi::luaopen_table),
        (c"string", ffi::luaopen_string),
        (c"math", ffi::luaopen_math),
        (c"utf8", ffi::luaopen_utf8),
        (c"bit32", ffi::luaopen_bit32),
        (c"buffer", ffi::luaopen_buffer),
        (c"integer", ffi::luaopen_integer),
    ];
    for (name, open) in libraries {
        // SAFETY: runs protected.
        unsafe {
            ffi::lua_pushcclosurek(lua, open, std::ptr::null(), 0, None);
            ffi::lua_pushstring_(lua, name.as_ptr());
            ffi::lua_call(lua, 1, 0);
        }
    }
}
