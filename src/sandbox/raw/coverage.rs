//! Which lines of a script and its modules have run.
//!
//! The code is made to count, and the functions that are the files are kept in the registry, under
//! the names of the files; Lua tells what they and the functions in them have counted.

use std::ffi::CStr;
use std::ffi::c_char;
use std::ffi::c_int;
use std::ffi::c_void;
use std::path::PathBuf;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::state::Raised;
use super::state::State;

/// The name of the table of files in the registry.
const COVERED: &CStr = c"heka.covered";

/// A line with code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredLine {
    /// The file.
    pub file: PathBuf,
    /// Its number, from one.
    pub line: u32,
    /// Whether it has run.
    pub has_run: bool,
}

impl State {
    /// Runs the code of a file that is kept.
    pub(super) fn run_covered(&mut self, chunk: &CStr, code: &[u8]) -> Result<(), Raised> {
        self.begin();
        let ran = self.protected(|lua| {
            // SAFETY: runs protected; nothing here has to be dropped.
            unsafe {
                let start = code.as_ptr().cast();
                if ffi::luau_load(lua, chunk.as_ptr(), start, code.len(), 0) != 0 {
                    ffi::lua_error(lua);
                }
                keep(lua, chunk);
                ffi::lua_call(lua, 0, 0);
            }
        });
        let limit = self.finish();
        ran.map_err(|raised| Raised { limit: limit.or(raised.limit), ..raised })
    }

    /// The lines of all files that are kept, in no order and some more than once.
    pub(in crate::sandbox) fn coverage(&mut self) -> Vec<CoveredLine> {
        let mut lines = Vec::new();
        let asked = self.protected(|lua| {
            // SAFETY: runs protected; the table has names and functions, as `keep` has put them, and the
            // callback raises nothing.
            unsafe {
                if ffi::lua_getfield(lua, ffi::LUA_REGISTRYINDEX, COVERED.as_ptr())
                    != ffi::LUA_TTABLE
                {
                    return;
                }
                ffi::lua_pushnil(lua);
                while ffi::lua_next(lua, -2) != 0 {
                    let name = CStr::from_ptr(ffi::lua_tostring(lua, -2));
                    let file = PathBuf::from(name.to_string_lossy().trim_start_matches('='));
                    let mut found = (file, &mut lines);
                    ffi::lua_getcoverage(lua, -1, (&raw mut found).cast(), take);
                    ffi::lua_settop(lua, -2);
                }
            }
        });
        if asked.is_err() {
            lines.clear();
        }
        lines
    }
}

/// Keeps the function at the top of the stack, which is the file `chunk`.
///
/// # Safety
/// Must run protected, with a function at the top of the stack.
pub(super) unsafe fn keep(lua: *mut lua_State, chunk: &CStr) {
    // SAFETY: the caller's promise.
    unsafe {
        if ffi::lua_getfield(lua, ffi::LUA_REGISTRYINDEX, COVERED.as_ptr()) != ffi::LUA_TTABLE {
            ffi::lua_settop(lua, -2);
            ffi::lua_createtable(lua, 0, 4);
            ffi::lua_pushvalue(lua, -1);
            ffi::lua_setfield(lua, ffi::LUA_REGISTRYINDEX, COVERED.as_ptr());
        }
        ffi::lua_pushvalue(lua, -2);
        ffi::lua_setfield(lua, -2, chunk.as_ptr());
        ffi::lua_settop(lua, -2);
    }
}

/// Takes what a function has counted: for each line how often it ran, less than zero where it has
/// no code.
unsafe extern "C-unwind" fn take(
    context: *mut c_void,
    _function: *const c_char,
    _defined: c_int,
    _depth: c_int,
    hits: *const c_int,
    size: usize,
) {
    // SAFETY: the context is what `coverage` has passed, the counts are as many as Lua says.
    let ((file, lines), hits) = unsafe {
        (
            &mut *context.cast::<(PathBuf, &mut Vec<CoveredLine>)>(),
            std::slice::from_raw_parts(hits, size),
        )
    };
    for (line, hits) in (0..).zip(hits).filter(|(_, hits)| **hits >= 0) {
        lines.push(CoveredLine { file: file.clone(), line, has_run: *hits > 0 });
    }
}
