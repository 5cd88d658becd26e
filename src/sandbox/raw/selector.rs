//! Strings that name a part of a message, taken apart once.
//!
//! Lua keeps a number with each string, an atom, that the host gives out when it first asks for it.
//! Here the atom of `Fields[status]` is the place of its parsed form, so that reading a field costs
//! no parsing. The table is bounded; strings that come too late are parsed each time.

use std::ffi::c_char;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::interrupt::Gate;
use crate::sandbox::selector;
use crate::sandbox::selector::Selector;

/// At most so many selectors are kept.
const MAX_SELECTORS: usize = 4096;

/// The selectors that have atoms.
#[derive(Debug, Default)]
pub(super) struct Selectors {
    known: Vec<Selector>,
}

impl Selectors {
    pub(super) fn at(&self, atom: i16) -> Option<Selector> {
        self.known.get(usize::try_from(atom).ok()?).copied()
    }

    fn enter(&mut self, text: &[u8]) -> i16 {
        if self.known.len() >= MAX_SELECTORS {
            return -1;
        }
        let Some(parsed) = selector::parse(text) else { return -1 };
        self.known.push(parsed);
        i16::try_from(self.known.len() - 1).unwrap_or(-1)
    }
}

/// Gives out the atom of a string; called by Lua once for each string that is asked for it.
pub(super) unsafe extern "C-unwind" fn atom(
    state: *mut lua_State,
    start: *const c_char,
    length: usize,
) -> i16 {
    // SAFETY: Lua passes a string of this length; the gate and its selectors outlive the state and
    // nothing else refers to them while an argument is read.
    unsafe {
        let gate = (*ffi::lua_callbacks(state)).userdata.cast::<Gate>();
        let selectors = (*gate).selectors;
        let text = std::slice::from_raw_parts(start.cast::<u8>(), length);
        catch_unwind(AssertUnwindSafe(|| (*selectors).enter(text))).unwrap_or(-1)
    }
}

/// The selector with this atom.
///
/// # Safety
/// `state` must be open.
pub(super) unsafe fn known(state: *mut lua_State, atom: i16) -> Option<Selector> {
    // SAFETY: as in `atom`.
    unsafe {
        let gate = (*ffi::lua_callbacks(state)).userdata.cast::<Gate>();
        (*(*gate).selectors).at(atom)
    }
}
