//! `lpeg.match`: runs a pattern, calls the script where the pattern asks, and builds the values.
//!
//! The machine runs inside `catch_unwind`, in stretches; between them it is looked whether the call
//! is over a limit, and the script is called. A match during which the script may be called is owned
//! by a userdata, so that an error that passes through here leaves nothing behind; any other works in
//! the room that the context keeps.

use std::cell::RefCell;
use std::ffi::c_int;
use std::ffi::c_void;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::capture;
use super::function;
use super::interrupt;
use super::object;
use super::object::Object;
use super::pattern;
use crate::peg::Constant;
use crate::peg::Error;
use crate::peg::Outcome;
use crate::peg::Program;
use crate::sandbox::context::Context;
use crate::sandbox::pattern::Running;

/// How much is done until it is looked whether the call is over a limit: some 50 µs.
const FUEL: u32 = 8192;

/// Bytes that a capture takes, its step in the plan included.
const EVENT_BYTES: usize = 64;

/// The most captures of a match.
const MAX_EVENTS: usize = 1 << 26;

/// Bytes of a choice or call on the stack.
const FRAME_BYTES: usize = 32;

/// A match as the functions here pass it on.
#[derive(Clone, Copy)]
pub(super) struct Matching {
    pub(super) lua: *mut lua_State,
    pub(super) context: *mut Context,
    pub(super) running: *mut Running,
    /// The subject, which the second slot holds.
    pub(super) subject: *const [u8],
    /// Where the arguments end.
    pub(super) arguments: c_int,
    /// Where the constants are, and behind them the values held for match-time captures.
    pub(super) constants: c_int,
    /// The most steps of a plan.
    max_actions: usize,
}

/// `lpeg.match(patt, subject[, init, ...])`.
pub(super) unsafe extern "C-unwind" fn lpeg_match(lua: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; the subject is held by its slot; nothing must be dropped when an error
    // is raised.
    unsafe {
        let context = pattern::context_of(lua);
        pattern::coerce(lua, context, 1);
        let mut length = 0;
        let start = ffi::luaL_checklstring(lua, 2, &raw mut length);
        let subject: *const [u8] = std::ptr::slice_from_raw_parts(start.cast::<u8>(), length);
        let arguments = ffi::lua_gettop(lua);
        let at = start_of(ffi::luaL_optnumber(lua, 3, 1.0), length);
        let calls = match prepare(lua, context) {
            Ok(calls) => calls,
            Err(text) => function::raise(lua, &*text),
        };
        ffi::lua_getmetatable(lua, 1);
        ffi::lua_rawgeti_(lua, -1, pattern::CONSTANTS);
        ffi::lua_replace(lua, arguments + 1);
        let constants = arguments + 1;
        ffi::lua_pushnil(lua);
        let running = if calls { own(lua, context) } else { &raw mut *(*context).patterns.running };
        let room = (*object::memory_of(lua)).room();
        let max_events = (room / EVENT_BYTES).min(MAX_EVENTS);
        let max_stack = (*context).patterns.max_stack.min(room / FRAME_BYTES);
        begin(lua, running, at, (max_stack, max_events));
        let max_actions = max_events;
        let matching =
            Matching { lua, context, running, subject, arguments, constants, max_actions };
        let is_matched = matching.run();
        let base = ffi::lua_gettop(lua);
        if is_matched {
            matching.plan(None);
            capture::carry_out(matching);
            if ffi::lua_gettop(lua) == base {
                ffi::lua_pushnumber(lua, ((*running).machine.position() + 1) as f64);
            }
        } else {
            ffi::lua_pushnil(lua);
        }
        if calls {
            disown(lua, context, constants + 2);
        } else {
            (*running).settle();
        }
        ffi::lua_gettop(lua) - base
    }
}

/// Compiles the pattern in the first slot, if that has not been done, and gives it its constants;
/// tells whether matching it may call the script.
unsafe fn prepare(lua: *mut lua_State, context: *mut Context) -> Result<bool, *const str> {
    // SAFETY: inside a call; no borrow is alive when Lua is called.
    unsafe {
        let Some(cell) = object::at(lua, 1) else { return Err("lpeg-pattern expected") };
        if let Some(calls) = calls_of(cell) {
            return Ok(calls);
        }
        let compiled = catch_unwind(AssertUnwindSafe(|| {
            let held = cell.try_borrow().ok()?;
            let held = held.as_pattern()?;
            match held.tree.compile() {
                // Nobody else compiles it meanwhile.
                Ok(program) => held.program.set(Rc::new(program)).ok(),
                Err(error) => {
                    (*context).complain(error.to_string().into());
                    None
                }
            }
        }));
        match compiled {
            Ok(Some(())) => {
                if !object::recount(lua, 1) {
                    return Err("not enough memory");
                }
            }
            Ok(None) => return Err(std::ptr::from_ref((*context).complaint())),
            Err(_) => return Err("the host function failed: this is a fault in Heka"),
        }
        give_constants(lua, cell);
        Ok(calls_of(cell).unwrap_or(true))
    }
}

/// Whether matching may call the script; `None` before the pattern is compiled.
fn calls_of(cell: &RefCell<Box<dyn Object>>) -> Option<bool> {
    let held = cell.try_borrow().ok()?;
    held.as_pattern()?.program.get().map(|program| program.calls_host())
}

/// Makes the list of constants of the pattern in the first slot.
unsafe fn give_constants(lua: *mut lua_State, cell: &RefCell<Box<dyn Object>>) {
    // SAFETY: inside a call; the program lives as long as the pattern, which does not change; no borrow
    // is alive when Lua is called.
    unsafe {
        let program: Option<*const Program> = cell
            .try_borrow()
            .ok()
            .and_then(|held| held.as_pattern()?.program.get().map(Rc::as_ptr));
        let Some(program) = program else { return };
        let count = (*program).constants().len();
        if count == 0 {
            return;
        }
        let top = ffi::lua_gettop(lua);
        let has_values = pattern::push_values(lua, 1);
        let values = ffi::lua_gettop(lua);
        ffi::lua_createtable(lua, c_int::try_from(count).unwrap_or(0), 0);
        for (number, constant) in (1..).zip((*program).constants()) {
            match constant {
                Constant::Nil => ffi::lua_pushnil(lua),
                Constant::Bool(truth) => ffi::lua_pushboolean(lua, c_int::from(truth)),
                Constant::Number(number) => ffi::lua_pushnumber(lua, number),
                Constant::Text(text) => {
                    ffi::lua_pushlstring_(lua, text.as_ptr().cast(), text.len());
                }
                Constant::Value(value) if has_values => {
                    ffi::lua_rawgeti_(lua, values, value.cast_signed().saturating_add(1));
                }
                Constant::Value(_) => ffi::lua_pushnil(lua),
            }
            ffi::lua_rawseti_(lua, -2, number);
        }
        pattern::give(lua, 1, pattern::CONSTANTS);
        ffi::lua_settop(lua, top);
    }
}

/// Pushes a userdata that owns the room for a match.
unsafe fn own(lua: *mut lua_State, context: *mut Context) -> *mut Running {
    unsafe extern "C" fn drop_running(_: *mut lua_State, place: *mut c_void) {
        // SAFETY: Lua calls this once; the place holds room, or null once it was given back.
        unsafe {
            let running = place.cast::<*mut Running>().read();
            if !running.is_null() {
                drop(Box::from_raw(running));
            }
        }
    }
    // SAFETY: inside a call; the place is set to null before anything can raise.
    unsafe {
        let size = size_of::<*mut Running>();
        let place = ffi::lua_newuserdatadtor(lua, size, drop_running).cast::<*mut Running>();
        place.write(Box::into_raw((*context).patterns.take()));
        place.read()
    }
}

/// Gives the room of a match back.
unsafe fn disown(lua: *mut lua_State, context: *mut Context, slot: c_int) {
    // SAFETY: there is the userdata that `own` pushed.
    unsafe {
        let place = ffi::lua_touserdata(lua, slot).cast::<*mut Running>();
        if !place.is_null() {
            let running = place.replace(std::ptr::null_mut());
            if !running.is_null() {
                (*context).patterns.give(Box::from_raw(running));
            }
        }
    }
}

/// Begins to match the pattern in the first slot.
unsafe fn begin(lua: *mut lua_State, running: *mut Running, at: usize, most: (usize, usize)) {
    // SAFETY: inside a call; nothing here can raise.
    unsafe {
        (*running).marks.clear();
        (*running).text.clear();
        (*running).text_starts.clear();
        if let Some(cell) = object::at(lua, 1)
            && let Ok(held) = cell.try_borrow()
            && let Some(program) = held.as_pattern().and_then(|held| held.program.get())
        {
            (*running).machine.begin(program, at, most.0, most.1);
        }
    }
}

impl Matching {
    /// Runs the machine to the end; whether it matched.
    unsafe fn run(self) -> bool {
        let Matching { lua, running, subject, .. } = self;
        // SAFETY: inside a call; the subject is held by its slot; nothing is borrowed when Lua is
        // called.
        unsafe {
            loop {
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    let machine = &mut (*running).machine;
                    machine.run(&*subject, FUEL)
                }));
                match outcome {
                    Ok(Ok(Outcome::Matched)) => return true,
                    Ok(Ok(Outcome::Failed)) => return false,
                    Ok(Ok(Outcome::Paused)) => interrupt::poll(lua),
                    Ok(Ok(Outcome::Asks { event, constant })) => {
                        if !self.ask(event, constant) {
                            return false;
                        }
                        interrupt::poll(lua);
                    }
                    Ok(Err(error)) => self.fail(error),
                    Err(_) => self.panicked(),
                }
            }
        }
    }

    /// Asks the script about a capture; false when the match fails for good.
    unsafe fn ask(self, event: usize, constant: u32) -> bool {
        let Matching { lua, running, subject, constants, .. } = self;
        // SAFETY: as in `run`.
        unsafe {
            let top = ffi::lua_gettop(lua);
            ffi::luaL_checkstack_(lua, 8, c"too many captures".as_ptr());
            self.plan(Some(event));
            ffi::lua_rawgeti_(lua, constants, constant.cast_signed().saturating_add(1));
            ffi::lua_pushvalue(lua, 2);
            let at = (*running).machine.position();
            ffi::lua_pushnumber(lua, (at + 1) as f64);
            capture::carry_out(self);
            ffi::lua_call(lua, ffi::lua_gettop(lua) - top - 1, ffi::LUA_MULTRET);
            let values = (ffi::lua_gettop(lua) - top - 1).max(0);
            let went_to = if ffi::lua_toboolean(lua, top + 1) == 0 || values < 0 {
                None
            } else if ffi::lua_type(lua, top + 1) == ffi::LUA_TBOOLEAN {
                Some(at)
            } else {
                let to = ffi::lua_tonumber(lua, top + 1);
                if !(to >= (at + 1) as f64 && to <= (subject.len() + 1) as f64) {
                    let text = c"invalid position returned by match-time capture";
                    ffi::luaL_error(lua, text.as_ptr());
                }
                Some(whole(to) - 1)
            };
            let count = if went_to.is_some() { usize::try_from(values).unwrap_or(0) } else { 0 };
            if count > 0 {
                self.hold(top + 2, values);
            }
            ffi::lua_settop(lua, top);
            let answered =
                catch_unwind(AssertUnwindSafe(|| (*running).machine.answer(event, went_to, count)));
            match answered {
                Ok(Ok(goes_on)) => goes_on,
                Ok(Err(error)) => self.fail(error),
                Err(_) => self.panicked(),
            }
        }
    }

    /// Keeps so many values from `from` on for the end of the match.
    unsafe fn hold(self, from: c_int, count: c_int) {
        let Matching { lua, running, constants, .. } = self;
        // SAFETY: inside a call; the slot behind the constants is for the held values.
        unsafe {
            let held = constants + 1;
            if ffi::lua_type(lua, held) != ffi::LUA_TTABLE {
                ffi::lua_createtable(lua, 8, 0);
                ffi::lua_replace(lua, held);
            }
            let next = c_int::try_from((*running).machine.next_held()).unwrap_or(c_int::MAX - 1);
            for index in 0..count {
                ffi::lua_pushvalue(lua, from + index);
                ffi::lua_rawseti_(lua, held, next.saturating_add(index + 1));
            }
        }
    }

    /// Plans how to build what was captured, in all or inside an event.
    unsafe fn plan(self, event: Option<usize>) {
        let Matching { lua, running, max_actions, .. } = self;
        // SAFETY: as in `run`.
        unsafe {
            let mut is_begun = false;
            loop {
                let planned = catch_unwind(AssertUnwindSafe(|| {
                    let Running { machine, plan, .. } = &mut *running;
                    if !is_begun {
                        plan.begin(machine, event, max_actions);
                    }
                    plan.run(machine, FUEL)
                }));
                is_begun = true;
                match planned {
                    Ok(Ok(true)) => return,
                    Ok(Ok(false)) => interrupt::poll(lua),
                    Ok(Err(error)) => self.fail(error),
                    Err(_) => self.panicked(),
                }
            }
        }
    }

    /// Raises what is wrong with the match.
    unsafe fn fail(self, error: Error) -> ! {
        // SAFETY: inside a call; the error is dropped before anything is raised.
        unsafe {
            let is_memory = error == Error::TooManyCaptures && self.max_actions < MAX_EVENTS;
            (*self.context).complain(error.to_string().into());
            drop(error);
            if is_memory {
                // The call is over its limit, whether or not it traps the error.
                object::admit(self.lua, usize::MAX / 4);
                function::raise(self.lua, "not enough memory");
            }
            function::raise(self.lua, (*self.context).complaint())
        }
    }

    unsafe fn panicked(self) -> ! {
        // SAFETY: inside a call, where nothing is left to be dropped.
        unsafe { function::raise(self.lua, "the host function failed: this is a fault in Heka") }
    }
}

/// The offset that Lua's `init` stands for.
fn start_of(init: f64, length: usize) -> usize {
    // Below one nothing is left of it, and that stands for the end.
    if init >= 1.0 { (whole(init) - 1).min(length) } else { length.saturating_sub(whole(-init)) }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "such a cast saturates, and what is not a number is 0"
)]
fn whole(number: f64) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_match_begins_is_a_whole_number_in_the_text() {
        let check = |init: f64, expected: usize| assert_eq!(start_of(init, 5), expected, "{init}");
        check(1.0, 0);
        check(2.9, 1);
        check(9.0, 5);
        check(0.0, 5);
        check(0.5, 5);
        check(-0.5, 5);
        check(-2.0, 3);
        check(-9.0, 0);
        check(f64::NAN, 5);
        check(f64::INFINITY, 5);
        check(f64::NEG_INFINITY, 0);
    }
}
