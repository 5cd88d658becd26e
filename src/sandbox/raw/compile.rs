//! The compiler, and what Lua leaves to its host to decide.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::Once;
use std::sync::PoisonError;

use mlua::ffi;

/// How many scripts are remembered with their code, for many filters that run the same one.
const MAX_REMEMBERED: usize = 16;
/// The longest script that is remembered, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// A script and its code.
type Compiled = (Box<[u8]>, Arc<[u8]>);

/// Compiles with names of locals, which snapshots go by.
pub(in crate::sandbox) fn compile(text: &[u8]) -> Arc<[u8]> {
    static REMEMBERED: Mutex<VecDeque<Compiled>> = Mutex::new(VecDeque::new());
    let lock = || REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, code)) = lock().iter().find(|(known, _)| **known == *text) {
        return code.clone();
    }
    let code: Arc<[u8]> = compile_anew(text).into();
    if text.len() <= MAX_TEXT {
        let mut remembered = lock();
        remembered.truncate(MAX_REMEMBERED - 1);
        remembered.push_front((text.into(), code.clone()));
    }
    code
}

fn compile_anew(text: &[u8]) -> Vec<u8> {
    let mut options = ffi::lua_CompileOptions::default();
    options.optimizationLevel = 2;
    compile_with(text, options)
}

/// Compiles to code that counts how often each line runs.
pub(in crate::sandbox) fn compile_covered(text: &[u8]) -> Arc<[u8]> {
    let mut options = ffi::lua_CompileOptions::default();
    // A function put in place of its call would count at another line.
    options.optimizationLevel = 1;
    options.coverageLevel = 1;
    compile_with(text, options).into()
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
