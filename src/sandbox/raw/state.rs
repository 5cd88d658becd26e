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

use std::ffi::CStr;
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::Once;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::alloc;
use super::alloc::Memory;
use super::args;
use super::find;
use super::function;
use super::function::Named;
use super::interrupt::Gate;
use super::interrupt::Interrupt;
use super::loan::Loans;
use super::object;
use super::require;
use super::selector;
use super::selector::Selectors;
use super::text;
use super::traceback;
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
}

const HANDLER: c_int = 1;
const MESSAGE: c_int = 2;
const PROCESS_MESSAGE: c_int = 3;
const TIMER_EVENT: c_int = 4;

/// The tags of `msg` and `msg.Fields`.
const MESSAGE_TAG: c_int = object::TAGS + 1;
const FIELDS_TAG: c_int = object::TAGS + 2;

/// A Lua state with its context.
#[derive(Debug)]
pub(in crate::sandbox) struct State {
    lua: *mut lua_State,
    memory: *mut Memory,
    gate: *mut Gate,
    selectors: *mut Selectors,
    context: *mut Context,
    interrupt: Interrupt,
    watch: Arc<Counters>,
}

impl State {
    /// Makes a state with the standard libraries; `watch` counts the calls of this thread.
    pub(in crate::sandbox) fn new(context: Context, watch: Arc<Counters>) -> Result<State, Raised> {
        set_flags();
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
            unsafe { open_libraries(lua) }
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

    /// Puts host functions into the library `name`, or among the globals; a library that is there
    /// is added to.
    pub(in crate::sandbox) fn library(
        &mut self,
        name: Option<&'static CStr>,
        functions: &[Named],
    ) -> Result<(), Raised> {
        let context = self.context;
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
        let context = self.context;
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

    /// Makes a kind of native object known, with its methods.
    pub(in crate::sandbox) fn object_kind(
        &mut self,
        tag: u8,
        type_name: &'static CStr,
        methods: &[Named],
    ) -> Result<(), Raised> {
        let context = self.context;
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state; the context outlives it.
            unsafe {
                ffi::lua_createtable(lua, 0, 3);
                ffi::lua_createtable(lua, 0, c_int::try_from(methods.len()).unwrap_or(0));
                for named in methods {
                    function::push(lua, context, *named);
                    ffi::lua_setfield(lua, -2, named.0.as_ptr());
                }
                ffi::lua_setreadonly(lua, -1, 1);
                ffi::lua_setfield(lua, -2, c"__index".as_ptr());
                name_type(lua, type_name);
                object::prepare(lua, tag);
            }
        })
    }

    /// Makes `msg` and `msg.Fields`, whose members the two functions find; returns the number
    /// under which `msg.Fields` is kept.
    pub(in crate::sandbox) fn message_object(
        &mut self,
        member: Named,
        field: Named,
    ) -> Result<c_int, Raised> {
        let context = self.context;
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

    /// Makes `require` known.
    pub(in crate::sandbox) fn require(&mut self) -> Result<(), Raised> {
        let context = self.context;
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state; the context outlives it.
            unsafe { require::install(lua, context) }
        })
    }

    /// Freezes libraries and metatables, gives the script globals of its own, and lays the bottom
    /// of the stack.
    pub(in crate::sandbox) fn seal(&mut self) -> Result<(), Raised> {
        let context = self.context;
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state; the functions are left without upvalues
            // that are theirs alone.
            unsafe {
                find::replace(lua);
                text::replace(lua);
                ffi::luaL_sandbox(lua, 1);
                ffi::luaL_sandboxthread(lua);
                ffi::lua_pushlightuserdata(lua, context.cast());
                ffi::lua_pushcclosurek(lua, traceback::handler, std::ptr::null(), 1, None);
                ffi::lua_rawsetfield(lua, ffi::LUA_REGISTRYINDEX, c"heka.handler".as_ptr());
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
            for name in [c"heka.handler", c"heka.msg", c"process_message", c"timer_event"] {
                ffi::lua_rawgetfield(self.lua, ffi::LUA_REGISTRYINDEX, name.as_ptr());
                slots += 1;
            }
            debug_assert_eq!(ffi::lua_gettop(self.lua), slots, "the stack was empty");
        }
        Ok(())
    }

    /// Compiles `text` and runs it.
    pub(in crate::sandbox) fn run(&mut self, chunk: &CStr, text: &[u8]) -> Result<(), Raised> {
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
                With::Time(nanoseconds, is_last) => {
                    ffi::lua_pushnumber(lua, nanoseconds as f64);
                    ffi::lua_pushboolean(lua, c_int::from(is_last));
                    2
                }
            };
            (base, ffi::lua_pcall(lua, count, 2, HANDLER))
        };
        let limit = self.finish();
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

    /// Turns to another message of the batch that is lent.
    pub(in crate::sandbox) fn turn_to(&mut self, index: usize) {
        self.cx().loan.turn_to(index);
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

    fn begin(&mut self) {
        self.watch.turn();
    }

    /// Ends a call; tells which limit it hit.
    fn finish(&mut self) -> Option<Which> {
        self.watch.turn();
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
    fn outcome(&mut self, base: c_int, status: c_int, limit: Option<Which>) -> Result<(), Raised> {
        if status == 0 && limit.is_none() {
            return Ok(());
        }
        // SAFETY: an error leaves its value on top; it is read before it is dropped.
        let text = unsafe {
            let text = if status == 0 { None } else { args::text_at(self.lua, -1) };
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

unsafe fn open_libraries(lua: *mut lua_State) {
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

/// Compiles with names of locals, which snapshots go by.
pub(in crate::sandbox) fn compile(text: &[u8]) -> Vec<u8> {
    let mut options = ffi::lua_CompileOptions::default();
    options.optimizationLevel = 2;
    options.debugLevel = 2;
    // SAFETY: the compiler takes any text, and puts its complaint into what it returns.
    unsafe { ffi::luau_compile(text, options) }
}

/// Sets what Lua leaves to its host to decide, once for the process.
fn set_flags() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for name in [c"LuauTableMoveTimeoutFix", c"LuauTableRobustOom", c"LuauIntegerLibrary"] {
            // SAFETY: no state is running yet; an unknown flag is refused, not written.
            let is_known = unsafe { ffi::luau_setfflag(name.as_ptr(), 1) != 0 };
            debug_assert!(is_known, "{name:?} is no flag of this version of Luau");
        }
    });
}
