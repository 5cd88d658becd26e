//! Values that the host keeps for a call.

use std::ffi::c_int;

use mlua::ffi;

use super::state::State;
use crate::sandbox::feed::Checkpoint;

impl State {
    /// Keeps the checkpoint of an input for a call; nil when there is none, or no memory for it.
    pub(in crate::sandbox) fn keep(&mut self, checkpoint: Option<&Checkpoint>) -> c_int {
        let mut kept = ffi::LUA_REFNIL;
        let _ = self.without_limit(|state| {
            state.protected(|lua| {
                // SAFETY: runs protected, in an open state.
                unsafe {
                    match checkpoint {
                        None => return,
                        Some(Checkpoint::Number(number)) => ffi::lua_pushnumber(lua, *number),
                        Some(Checkpoint::Text(text)) => {
                            ffi::lua_pushlstring_(lua, text.as_ptr().cast(), text.len());
                        }
                    }
                    kept = ffi::lua_ref(lua, -1);
                }
            })
        });
        kept
    }

    /// Lets go of what was kept.
    pub(in crate::sandbox) fn drop_kept(&mut self, kept: c_int) {
        // SAFETY: an open state that is not running; letting go raises nothing.
        unsafe {
            ffi::lua_unref(self.lua, kept);
        }
    }
}
