//! Ends a call from outside: the interrupt pointer of a state.
//!
//! Lua looks at the pointer at every safepoint (loops, calls, returns, inside the pattern matcher)
//! and calls what it finds. It may be written from any thread. While a call is over its limit the
//! function raises at *every* safepoint, so that a script that traps the error does not live on;
//! only the host clears it.

use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::alloc::Memory;
use super::selector::Selectors;
use crate::sandbox::failure::Which;

/// The interrupt pointer of one state.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Interrupt {
    callbacks: NonNull<ffi::lua_Callbacks>,
}

// SAFETY: the pointer it writes is documented as writable from any thread, the write is atomic, and
// whoever holds an `Interrupt` on another thread gives it up before the state is closed.
unsafe impl Send for Interrupt {}

impl Interrupt {
    /// Takes hold of the pointer of `state`.
    ///
    /// # Safety
    /// The state must be open, and stay so while the interrupt is used.
    pub(super) unsafe fn of(state: *mut lua_State) -> Interrupt {
        // SAFETY: the caller's promise; the callbacks are part of the state.
        let callbacks = unsafe { ffi::lua_callbacks(state) };
        Interrupt { callbacks: NonNull::new(callbacks).expect("every state has callbacks") }
    }

    /// Makes the next safepoint ask the gate.
    pub(in crate::sandbox) fn set(&self) {
        let function: unsafe extern "C-unwind" fn(*mut lua_State, c_int) = at_safepoint;
        self.slot().store(function as *mut (), Ordering::Release);
    }

    pub(super) fn clear(&self) {
        self.slot().store(std::ptr::null_mut(), Ordering::Release);
    }

    fn slot(&self) -> &AtomicPtr<()> {
        // SAFETY: an optional function pointer has the size and alignment of a pointer, null is
        // `None`, and the callbacks live as long as the state.
        unsafe { AtomicPtr::from_ptr((&raw mut (*self.callbacks.as_ptr()).interrupt).cast()) }
    }
}

/// What a safepoint asks: whether the call that is running is over a limit.
#[derive(Debug)]
pub(in crate::sandbox) struct Gate {
    /// Counts calls up; odd while one is running. Read by the watchdog.
    pub(in crate::sandbox) serial: *const AtomicU64,
    /// The call that the watchdog found over its time.
    pub(in crate::sandbox) expired: *const AtomicU64,
    pub(super) memory: *mut Memory,
    pub(super) selectors: *mut Selectors,
    pub(super) tripped: Option<Which>,
}

impl Gate {
    /// The limit that the running call has met, if it has.
    pub(super) fn check(&mut self) -> Option<Which> {
        if self.tripped.is_some() {
            return self.tripped;
        }
        // SAFETY: the watch outlives the sandbox that points the gate at it.
        let (serial, expired) = unsafe { (&*self.serial, &*self.expired) };
        let call = serial.load(Ordering::Relaxed);
        if call % 2 == 1 && expired.load(Ordering::Acquire) == call {
            self.tripped = Some(Which::Cpu);
        }
        // SAFETY: the memory outlives the state; no other reference to it is alive here.
        if unsafe { (*self.memory).refused } {
            self.tripped = Some(Which::Memory);
        }
        self.tripped
    }
}

/// Is a safepoint for a host function that takes long; raises where the call is over a limit.
///
/// # Safety
/// Must run inside a call, where nothing is left to be dropped.
pub(super) unsafe fn poll(state: *mut lua_State) {
    // SAFETY: the state is open; what stands in the slot is null or the function below.
    unsafe {
        if !Interrupt::of(state).slot().load(Ordering::Acquire).is_null() {
            at_safepoint(state, -1);
        }
    }
}

/// Runs at a safepoint while the interrupt is set.
unsafe extern "C-unwind" fn at_safepoint(state: *mut lua_State, collecting: c_int) {
    if collecting >= 0 {
        return;
    }
    // SAFETY: the state put its gate there when it was made; nothing here is dropped when the error
    // is raised.
    unsafe {
        let callbacks = ffi::lua_callbacks(state);
        let gate = (*callbacks).userdata.cast::<Gate>();
        if gate.is_null() {
            return;
        }
        let mut which = (*gate).check();
        let memory = (*gate).memory;
        if which.is_none() && (*memory).pressed {
            ffi::lua_gc(state, ffi::LUA_GCCOLLECT, 0);
            if !(*memory).settle() {
                (*gate).tripped = Some(Which::Memory);
                which = Some(Which::Memory);
            }
        }
        match which {
            None => Interrupt::of(state).clear(),
            Some(Which::Cpu) => ffi::luaL_error(state, c"cpu_limit exceeded".as_ptr()),
            Some(Which::Memory) => ffi::luaL_error(state, c"memory_limit exceeded".as_ptr()),
        }
    }
}
