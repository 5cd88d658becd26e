//! Many calls of `process_message` under one protected call.
//!
//! Entering Lua protected costs about as much as a small script. So a function of ours is entered
//! once for all messages of a batch, and calls the script's for one after the other; it comes back
//! when a call ends otherwise than with status 0.

use std::ffi::c_int;
use std::sync::atomic::AtomicU64;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::alloc::Memory;
use super::interrupt::Gate;
use crate::sandbox::Portion;
use crate::sandbox::context::Context;
use crate::sandbox::watchdog::turn;

/// The messages that a script is called for.
#[derive(Debug)]
pub(in crate::sandbox) struct Round<'a> {
    portions: &'a [Portion<'a>],
    max_inject: u32,
    /// The portion it is at.
    at: usize,
    /// Calls made for messages of this portion.
    done: usize,
    /// Calls made for messages of those before.
    before: usize,
    kept: usize,
    /// How many messages had been injected before the first call.
    first_kept: usize,
    /// A call has failed: the round ends with the portion.
    is_disturbed: bool,
}

impl<'a> Round<'a> {
    pub(in crate::sandbox) fn new(portions: &'a [Portion<'a>], max_inject: u32) -> Round<'a> {
        Round {
            portions,
            max_inject,
            at: 0,
            done: 0,
            before: 0,
            kept: 0,
            first_kept: 0,
            is_disturbed: false,
        }
    }

    /// How many calls were made.
    pub(in crate::sandbox) fn calls(&self) -> usize {
        self.before + self.done
    }

    /// How many portions were begun.
    pub(in crate::sandbox) fn begun(&self) -> usize {
        self.portions.len().min(self.at + 1)
    }

    /// The message of the last call.
    pub(in crate::sandbox) fn message(&self) -> Option<u16> {
        self.portions.get(self.at)?.matched.get(self.done.checked_sub(1)?).copied()
    }

    /// Has the round end with the portion it is at.
    pub(in crate::sandbox) fn disturb(&mut self) {
        self.is_disturbed = true;
    }

    /// How many messages had been injected before the last call.
    pub(in crate::sandbox) fn kept(&self) -> usize {
        self.kept
    }

    /// Prepares the next call; `false` when there is none.
    fn step(&mut self, context: &mut Context) -> bool {
        let Some((portion, index)) = self.next(context) else { return false };
        let place = usize::from(index);
        context.loan.turn_to(place);
        let loops = portion.batch.marks(place).loops;
        context.begin_call(u32::from(index), loops, self.max_inject);
        self.kept = context.loan.out().map_or(0, |out| out.len());
        self.done += 1;
        true
    }

    /// The next message, of the portion it is at or, where that was quiet, of the one after it.
    fn next(&mut self, context: &mut Context) -> Option<(Portion<'a>, u16)> {
        let portion = *self.portions.get(self.at)?;
        let injected = context.loan.out().map_or(0, |out| out.len());
        if let Some(&index) = portion.matched.get(self.done) {
            if self.calls() == 0 {
                self.first_kept = injected;
                open(portion, context);
            }
            return Some((portion, index));
        }
        if self.is_disturbed || injected > self.first_kept {
            return None;
        }
        self.before += self.done;
        self.done = 0;
        self.at += 1;
        let portion = *self.portions.get(self.at)?;
        open(portion, context);
        Some((portion, *portion.matched.first()?))
    }
}

/// Has the script see the entry of this portion.
fn open(portion: Portion<'_>, context: &mut Context) {
    context.now = portion.now;
    context.loan.turn_over(portion.batch);
}

/// What [`each`] works with, for the time of one protected call.
pub(super) struct Pass<'a, 'b> {
    pub(super) round: &'a mut Round<'b>,
    pub(super) context: *mut Context,
    pub(super) gate: *const Gate,
    pub(super) memory: *const Memory,
    pub(super) serial: *const AtomicU64,
    /// No message is left.
    pub(super) is_over: bool,
}

/// Calls `process_message` for one message after the other. Its arguments are a [`Pass`], `msg` and
/// the function's name; it returns what the last call returned, or nothing when all is done.
pub(super) unsafe extern "C-unwind" fn each(lua: *mut lua_State) -> c_int {
    const PASS: c_int = 1;
    const MESSAGE: c_int = 2;
    const NAME: c_int = 3;
    // SAFETY: the host enters with these arguments and keeps what the pass points to during the
    // call; nothing here must be dropped when the script raises, and no reference lives over a call.
    unsafe {
        let pass = ffi::lua_tolightuserdata(lua, PASS).cast::<Pass<'_, '_>>();
        let Pass { context, gate, memory, serial, .. } = *pass;
        loop {
            if !(*pass).round.step(&mut *context) {
                (*pass).is_over = true;
                return 0;
            }
            turn(&*serial);
            ffi::lua_pushvalue(lua, NAME);
            ffi::lua_rawget(lua, ffi::LUA_GLOBALSINDEX);
            ffi::lua_pushvalue(lua, MESSAGE);
            ffi::lua_call(lua, 1, 2);
            turn(&*serial);
            let is_limited = (*gate).tripped.is_some() || (*memory).refused;
            let status = ffi::lua_type(lua, NAME + 1) == ffi::LUA_TNUMBER;
            if is_limited || !status || ffi::lua_tonumber(lua, NAME + 1) != 0.0 {
                return 2;
            }
            ffi::lua_settop(lua, NAME);
        }
    }
}
