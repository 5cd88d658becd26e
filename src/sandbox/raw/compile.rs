//! The compiler, and what Lua leaves to its host to decide.

use std::sync::Once;

use mlua::ffi;

/// Compiles with names of locals, which snapshots go by.
pub(in crate::sandbox) fn compile(text: &[u8]) -> Vec<u8> {
    let mut options = ffi::lua_CompileOptions::default();
    options.optimizationLevel = 2;
    compile_with(text, options)
}

/// Compiles to code that counts how often each line runs.
pub(in crate::sandbox) fn compile_covered(text: &[u8]) -> Vec<u8> {
    let mut options = ffi::lua_CompileOptions::default();
    // A function put in place of its call would count at another line.
    options.optimizationLevel = 1;
    options.coverageLevel = 1;
    compile_with(text, options)
}

fn compile_with(text: &[u8], mut options: ffi::lua_CompileOptions) -> Vec<u8> {
    options.debugLevel = 2;
    // SAFETY: the compiler takes any text, and puts its complaint into what it returns.
    unsafe { ffi::luau_compile(text, options) }
}

/// Sets what Lua leaves to its host to decide, once for the process.
pub(super) fn set_flags() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for name in [c"LuauTableMoveTimeoutFix", c"LuauTableRobustOom", c"LuauIntegerLibrary"] {
            // SAFETY: no state is running yet; an unknown flag is refused, not written.
            let is_known = unsafe { ffi::luau_setfflag(name.as_ptr(), 1) != 0 };
            debug_assert!(is_known, "{name:?} is no flag of this version of Luau");
        }
    });
}
