//! One Lua state: made, filled, called, closed.
//!
//! The bottom of its stack holds what every call needs, so that a call from the host looks nothing
//! up but the function itself:
//!
//! | slot | value |
//! | --- | --- |
//! | 1 | the message handler, which notes the traceback |
//! | 2 | `msg` |
//! | 3, 4 | the names `process_message` and `timer_event` |
//! | 5 | what calls `process_message` for many messages |

use std::ffi::CStr;
use std::ffi::c_int;
use std::sync::Arc;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::alloc;
use super::alloc::Memory;
use super::args;
use super::compile::compile;
use super::compile::compile_covered;
use super::compile::set_flags;
use super::interrupt::Gate;
use super::interrupt::Interrupt;
use super::library;
use super::loan::Loans;
use super::number;
use super::round::Pass;
use super::round::Round;
use super::selector;
use super::selector::Selectors;
use crate::sandbox::context::Context;
use crate::sandbox::failure::Which;
use crate::sandbox::watchdog::Counters;

/// An error that Lua raised.
#[derive(Debug)]
pub(in crate::sandbox) struct Raised {
    pub(in crate::sandbox) text: String,
    /// The limit that ended the call, even if the script trapped its error.
    pub(in crate::sandbox) limit: Option<Which>,
}

/// What a call returned.
#[derive(Debug)]
pub(in crate::sandbox) enum Returned {
    /// A status, and the text after it unless the status is 0.
    Status(f64, Option<String>),
    /// The first value is not a number.
    NoStatus,
    /// The second value is neither nil nor a string.
    NoText,
    /// There is no such function.
    NoFunction,
}

/// The functions that the host calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Entry {
    ProcessMessage,
    TimerEvent,
}

/// What the function is called with.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) enum With {
    /// `msg`.
    Message,
    /// Nanoseconds since the epoch, and whether it is the last time.
    Time(i64, bool),
    /// The number of the message among those of an output, and `msg`.
    Sequence(u64),
    /// The value kept under this number in the registry.
    Kept(c_int),
}

/// Errors are cut at this length, in bytes.
const MAX_ERROR: usize = 4096;

pub(super) const HANDLER: c_int = 1;
const MESSAGE: c_int = 2;
const PROCESS_MESSAGE: c_int = 3;
const TIMER_EVENT: c_int = 4;
const EACH: c_int = 5;

/// A Lua state with its context.
#[derive(Debug)]
pub(in crate::sandbox) struct State {
    pub(super) lua: *mut lua_State,
    memory: *mut Memory,
    gate: *mut Gate,
    selectors: *mut Selectors,
    context: *mut Context,
    interrupt: Interrupt,
    watch: Arc<Counters>,
}

// SAFETY: nothing of a state hangs on a thread: Luau has no thread-local data, and what the state
// points to (memory, gate, context, native objects and the counted references among them) is reached
// through it alone. The counters that the gate reads are shared and are exchanged by
// `State::watch_by` when it has gone to another thread.
unsafe impl Send for State {}

impl State {
    /// Has the calls counted by these counters from now on: those of the thread that makes them.
    pub(in crate::sandbox) fn watch_by(&mut self, watch: Arc<Counters>) {
        // SAFETY: the gate lives as long as the state, which is not running.
        let gate = unsafe { &mut *self.gate };
        gate.serial = &raw const watch.serial;
        gate.expired = &raw const watch.expired;
        self.watch = watch;
    }

    /// Makes a state with the standard libraries; `watch` counts the calls of this thread.
    pub(in crate::sandbox) fn new(context: Context, watch: Arc<Counters>) -> Result<State, Raised> {
        set_flags();
        number::replace();
        let memory = Box::into_raw(Box::new(Memory::new()));
        let selectors = Box::into_raw(Box::default());
        // SAFETY: the allocator takes the memory, which is freed after the state is closed.
        let lua = unsafe { ffi::lua_newstate(alloc::allocate, memory.cast()) };
        assert!(!lua.is_null(), "there is no memory limit yet");
        let gate = Box::into_raw(Box::new(Gate {
            serial: &raw const watch.serial,
            expired: &raw const watch.expired,
            memory,
            selectors,
            tripped: None,
        }));
        // SAFETY: the state is open, and what its callbacks point to is freed after it is closed.
        let interrupt = unsafe {
            let callbacks = ffi::lua_callbacks(lua);
            (*callbacks).userdata = gate.cast();
            (*callbacks).useratom = Some(selector::atom);
            let interrupt = Interrupt::of(lua);
            (*memory).interrupt = Some(interrupt);
            interrupt
        };
        let context = Box::into_raw(Box::new(context));
        let mut state = State { lua, memory, gate, selectors, context, interrupt, watch };
        state.protected(|lua| {
            // SAFETY: runs protected, in an open state.
            unsafe { library::open(lua) }
        })?;
        Ok(state)
    }

    pub(in crate::sandbox) fn cx(&mut self) -> &mut Context {
        // SAFETY: the context lives as long as the state, and Lua is not running.
        unsafe { &mut *self.context }
    }

    pub(in crate::sandbox) fn memory(&mut self) -> &mut Memory {
        // SAFETY: as for the context.
        unsafe { &mut *self.memory }
    }

    pub(in crate::sandbox) fn limit_memory(&mut self, bytes: usize) {
        self.memory().limit(bytes);
    }

    pub(in crate::sandbox) fn interrupt(&self) -> Interrupt {
        self.interrupt
    }

    /// Compiles `text` and runs it.
    pub(in crate::sandbox) fn run(&mut self, chunk: &CStr, text: &[u8]) -> Result<(), Raised> {
        if self.cx().setting.is_covered {
            return self.run_covered(chunk, &compile_covered(text));
        }
        let code = compile(text);
        self.begin();
        // SAFETY: loading raises nothing, and what it leaves is called protected.
        let status = unsafe {
            let base = ffi::lua_gettop(self.lua);
            let start = code.as_ptr().cast();
            let mut status = ffi::luau_load(self.lua, chunk.as_ptr(), start, code.len(), 0);
            if status == 0 {
                status = ffi::lua_pcall(self.lua, 0, 0, HANDLER);
            }
            (base, status)
        };
        let limit = self.finish();
        self.outcome(status.0, status.1, limit)
    }

    /// Tells whether the script has a function of this name.
    pub(in crate::sandbox) fn has_entry(&self, entry: Entry) -> bool {
        // SAFETY: the slots are laid, nothing is allocated.
        unsafe {
            ffi::lua_pushvalue(self.lua, slot_of(entry));
            ffi::lua_rawget(self.lua, ffi::LUA_GLOBALSINDEX);
            let found = ffi::lua_type(self.lua, -1) == ffi::LUA_TFUNCTION;
            ffi::lua_pop(self.lua, 1);
            found
        }
    }

    /// Calls a function of the script.
    pub(in crate::sandbox) fn call(
        &mut self,
        entry: Entry,
        with: With,
    ) -> Result<Returned, Raised> {
        self.begin();
        // SAFETY: the slots are laid and there is room; all that may raise runs protected.
        let (base, status) = unsafe {
            let lua = self.lua;
            let base = ffi::lua_gettop(lua);
            ffi::lua_pushvalue(lua, slot_of(entry));
            ffi::lua_rawget(lua, ffi::LUA_GLOBALSINDEX);
            let count = match with {
                With::Message => {
                    ffi::lua_pushvalue(lua, MESSAGE);
                    1
                }
                With::Sequence(sequence) => {
                    ffi::lua_pushnumber(lua, sequence as f64);
                    ffi::lua_pushvalue(lua, MESSAGE);
                    2
                }
                With::Kept(number) => {
                    ffi::lua_rawgeti_(lua, ffi::LUA_REGISTRYINDEX, number);
                    1
                }
                With::Time(nanoseconds, is_last) => {
                    ffi::lua_pushnumber(lua, nanoseconds as f64);
                    ffi::lua_pushboolean(lua, c_int::from(is_last));
                    2
                }
            };
            (base, ffi::lua_pcall(lua, count, 2, HANDLER))
        };
        let limit = self.finish();
        self.ending(entry, base, status, limit)
    }

    /// How a call of a function of the script has ended, which left two values or an error.
    fn ending(
        &mut self,
        entry: Entry,
        base: c_int,
        status: c_int,
        limit: Option<Which>,
    ) -> Result<Returned, Raised> {
        if status != 0 || limit.is_some() {
            if status != 0 && limit.is_none() && !self.has_entry(entry) {
                // SAFETY: drops what the call left.
                unsafe { ffi::lua_settop(self.lua, base) };
                return Ok(Returned::NoFunction);
            }
            self.outcome(base, status, limit)?;
        }
        // SAFETY: the call left two values, which are read before they are dropped.
        unsafe {
            let returned = returned(self.lua, base + 1);
            ffi::lua_settop(self.lua, base);
            Ok(returned)
        }
    }

    /// Calls `process_message` for the messages of the batch that is lent, until a call ends
    /// otherwise than with status 0; gives how it ended, or nothing when no message is left.
    pub(in crate::sandbox) fn call_each(
        &mut self,
        round: &mut Round<'_>,
    ) -> Option<Result<Returned, Raised>> {
        let mut pass = Pass {
            round,
            context: self.context,
            gate: self.gate,
            memory: self.memory,
            serial: &raw const self.watch.serial,
            is_over: false,
        };
        // SAFETY: the slots are laid and there is room; what the pass points to lives as long as the
        // state, and the pass outlives the call.
        let (base, status) = unsafe {
            let lua = self.lua;
            let base = ffi::lua_gettop(lua);
            ffi::lua_pushvalue(lua, EACH);
            ffi::lua_pushlightuserdata(lua, (&raw mut pass).cast());
            ffi::lua_pushvalue(lua, MESSAGE);
            ffi::lua_pushvalue(lua, PROCESS_MESSAGE);
            (base, ffi::lua_pcall(lua, 3, 2, HANDLER))
        };
        let is_over = pass.is_over;
        if status != 0 {
            // The call that raised has not ended.
            self.watch.turn();
        }
        let limit = self.limit_hit();
        if is_over && status == 0 {
            // SAFETY: drops what the call left.
            unsafe { ffi::lua_settop(self.lua, base) };
            return None;
        }
        Some(self.ending(Entry::ProcessMessage, base, status, limit))
    }

    /// Lends `loans` to the calls made in `work`.
    pub(in crate::sandbox) fn lend<R>(
        &mut self,
        loans: Loans<'_>,
        work: impl FnOnce(&mut State) -> R,
    ) -> R {
        struct TakeBack(*mut Context);
        impl Drop for TakeBack {
            fn drop(&mut self) {
                // SAFETY: the context outlives the loan, and no call is running any more.
                unsafe { (*self.0).loan.end() }
            }
        }
        self.cx().loan.begin(loans);
        let _back = TakeBack(self.context);
        work(self)
    }

    /// Collects a part of the garbage; `kib` says how much work to do.
    pub(in crate::sandbox) fn step_collector(&mut self, kib: c_int) {
        // SAFETY: an open state that is not running; collecting raises nothing.
        unsafe {
            ffi::lua_gc(self.lua, ffi::LUA_GCSTEP, kib);
        }
    }

    /// Collects all garbage.
    pub(in crate::sandbox) fn collect(&mut self) {
        // SAFETY: an open state that is not running; collecting raises nothing.
        unsafe {
            ffi::lua_gc(self.lua, ffi::LUA_GCCOLLECT, 0);
        }
    }

    /// Runs `work` without a limit of memory.
    pub(super) fn without_limit<R>(&mut self, work: impl FnOnce(&mut State) -> R) -> R {
        let limits = self.memory().lift();
        let result = work(self);
        self.memory().put_back(limits);
        result
    }

    pub(super) fn context_pointer(&mut self) -> *mut Context {
        self.context
    }

    /// Runs `work` protected.
    pub(super) fn protected<F: FnMut(*mut lua_State)>(
        &mut self,
        mut work: F,
    ) -> Result<(), Raised> {
        unsafe extern "C-unwind" fn run<F: FnMut(*mut lua_State)>(lua: *mut lua_State) -> c_int {
            // SAFETY: the argument is the closure that `protected` holds during the call.
            unsafe {
                let work = ffi::lua_tolightuserdata(lua, 1).cast::<F>();
                ffi::lua_settop(lua, 0);
                (*work)(lua);
            }
            0
        }
        // SAFETY: the state is open; the closure outlives the call.
        let (base, status) = unsafe {
            let base = ffi::lua_gettop(self.lua);
            (base, ffi::lua_cpcall(self.lua, run::<F>, (&raw mut work).cast()))
        };
        self.outcome(base, status, None)
    }

    pub(super) fn begin(&mut self) {
        self.watch.turn();
    }

    /// Ends a call; tells which limit it hit.
    pub(super) fn finish(&mut self) -> Option<Which> {
        self.watch.turn();
        self.limit_hit()
    }

    /// The limit that the last call has hit, forgotten with this.
    fn limit_hit(&mut self) -> Option<Which> {
        // SAFETY: gate and memory live as long as the state, which is not running.
        let (gate, memory) = unsafe { (&mut *self.gate, &mut *self.memory) };
        if gate.tripped.is_none() && !memory.refused {
            return None;
        }
        let limit = gate.tripped.take().or(Some(Which::Memory));
        memory.clear();
        self.interrupt.clear();
        limit
    }

    /// Turns the status of a protected call into a result and drops what it left.
    pub(super) fn outcome(
        &mut self,
        base: c_int,
        status: c_int,
        limit: Option<Which>,
    ) -> Result<(), Raised> {
        if status == 0 && limit.is_none() {
            return Ok(());
        }
        // SAFETY: an error leaves its value on top; it is read before it is dropped.
        let text = unsafe {
            let text = if status == 0 { None } else { args::text_at(self.lua, -1) };
            let text = text.map(|text| &text[..text.len().min(MAX_ERROR)]);
            let text = text.map(|text| String::from_utf8_lossy(text).into_owned());
            ffi::lua_settop(self.lua, base);
            text
        };
        let text = match limit {
            Some(which) => text.unwrap_or_else(|| which.text().to_owned()),
            None => text.unwrap_or_else(|| "the script raised an error that is no text".to_owned()),
        };
        let limit = limit.or((status == ffi::LUA_ERRMEM).then_some(Which::Memory));
        Err(Raised { text, limit })
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: the state is closed once, before what it refers to is freed.
        unsafe {
            self.interrupt.clear();
            ffi::lua_close(self.lua);
            drop(Box::from_raw(self.context));
            drop(Box::from_raw(self.gate));
            drop(Box::from_raw(self.selectors));
            drop(Box::from_raw(self.memory));
        }
    }
}

fn slot_of(entry: Entry) -> c_int {
    match entry {
        Entry::ProcessMessage => PROCESS_MESSAGE,
        Entry::TimerEvent => TIMER_EVENT,
    }
}

/// Reads what a function of the script returned.
unsafe fn returned(lua: *mut lua_State, slot: c_int) -> Returned {
    // SAFETY: there are two values from `slot` on.
    unsafe {
        if ffi::lua_type(lua, slot) != ffi::LUA_TNUMBER {
            return Returned::NoStatus;
        }
        let status = ffi::lua_tonumber(lua, slot);
        if status == 0.0 {
            return Returned::Status(0.0, None);
        }
        match ffi::lua_type(lua, slot + 1) {
            ffi::LUA_TNIL => Returned::Status(status, None),
            ffi::LUA_TSTRING => {
                let text = args::text_at(lua, slot + 1).unwrap_or_default();
                let text = &text[..text.len().min(500)];
                Returned::Status(status, Some(String::from_utf8_lossy(text).into_owned()))
            }
            _ => Returned::NoText,
        }
    }
}
