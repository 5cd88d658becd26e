//! Native objects: Rust values that a script holds as userdata.
//!
//! Each kind has a tag of its own, by which Lua knows its metatable. What an object takes is
//! counted against the memory of the state; it is given back when Lua collects it.

use std::any::Any;
use std::cell::Cell;
use std::cell::RefCell;
use std::ffi::c_int;
use std::ffi::c_void;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::alloc::Memory;
use super::interrupt::Gate;
use crate::sandbox::pattern;

/// A Rust value that a script can hold.
pub(in crate::sandbox) trait Object: Any + std::fmt::Debug {
    /// Which kind it is; 1 to 100, its own for each kind.
    fn tag(&self) -> u8;

    /// Bytes it takes beside the userdata itself; a host function after which it is another number
    /// says so, by [`Args::recount`](super::args::Args::recount).
    fn footprint(&self) -> usize;

    /// The text `add_to_payload` and `inject_payload` write for it; false when it has none.
    fn print(&mut self, out: &mut Vec<u8>) -> bool;

    /// Its state, for a snapshot.
    fn save(&self, out: &mut Vec<u8>);

    /// Takes over a state that was saved; says why it cannot.
    fn restore(&mut self, state: &[u8]) -> Result<(), String>;

    /// For finding out what it is.
    fn as_any_mut(&mut self) -> &mut dyn Any;

    /// The pattern, if it is one; patterns are only ever read.
    fn as_pattern(&self) -> Option<&pattern::Held> {
        None
    }
}

/// What is in the memory of the userdata.
struct Held {
    cell: RefCell<Box<dyn Object>>,
    bytes: Cell<usize>,
}

/// The tags of native objects end below this one.
pub(super) const TAGS: c_int = 100;

/// The object at `slot`.
///
/// # Safety
/// The slot must keep its value for `'a`.
pub(super) unsafe fn at<'a>(
    state: *mut lua_State,
    slot: c_int,
) -> Option<&'a RefCell<Box<dyn Object>>> {
    // SAFETY: only userdata with a tag of ours is taken for a held object.
    unsafe {
        let tag = ffi::lua_userdatatag(state, slot);
        if !(1..=TAGS).contains(&tag) {
            return None;
        }
        let held = ffi::lua_touserdatatagged(state, slot, tag).cast::<Held>();
        held.as_ref().map(|held| &held.cell)
    }
}

/// Tells whether the memory of a state has room for a native object of `bytes`.
///
/// # Safety
/// The state must be open.
pub(super) unsafe fn admit(state: *mut lua_State, bytes: usize) -> bool {
    // SAFETY: the memory outlives the state, and nothing else refers to it during a host function.
    unsafe { (*memory_of(state)).has_room(bytes) }
}

/// Pushes a new userdata with what is in `parked`; raises when there is no memory.
///
/// # Safety
/// `parked` must hold an object whose tag has a metatable, and nothing else may refer to it.
pub(super) unsafe fn push(state: *mut lua_State, parked: *mut Option<Box<dyn Object>>) {
    // SAFETY: the object stays parked until the userdata is there, so an error loses nothing; the
    // destructor of the tag finds a held object because nothing raises between the two.
    unsafe {
        let Some((tag, bytes)) =
            (*parked).as_ref().map(|object| (object.tag(), object.footprint()))
        else {
            ffi::lua_pushnil(state);
            return;
        };
        let memory = memory_of(state);
        if !(*memory).has_room(bytes) {
            *parked = None;
            ffi::luaL_error(state, c"not enough memory".as_ptr());
        }
        let size = size_of::<Held>();
        let place = ffi::lua_newuserdatataggedwithmetatable(state, size, c_int::from(tag));
        let place = place.cast::<Held>();
        let Some(object) = (*parked).take() else { return };
        (*memory).take_native(bytes);
        place.write(Held { cell: RefCell::new(object), bytes: Cell::new(bytes) });
    }
}

/// Counts anew what the object at `slot` takes; false when there is no room for it any more.
///
/// # Safety
/// The slot must keep its value, and nothing else may use the object.
pub(super) unsafe fn recount(state: *mut lua_State, slot: c_int) -> bool {
    // SAFETY: as in `at`; the memory outlives the state.
    unsafe {
        let tag = ffi::lua_userdatatag(state, slot);
        if !(1..=TAGS).contains(&tag) {
            return true;
        }
        let held = ffi::lua_touserdatatagged(state, slot, tag).cast::<Held>();
        let Some(held) = held.as_ref() else { return true };
        let Ok(object) = held.cell.try_borrow() else { return true };
        let (before, now) = (held.bytes.get(), object.footprint());
        let memory = memory_of(state);
        let has_room = now <= before || (*memory).has_room(now - before);
        (*memory).give_native(before);
        (*memory).take_native(now);
        held.bytes.set(now);
        has_room
    }
}

/// Tells whether the running call has met a limit.
///
/// # Safety
/// The state must be open.
pub(super) unsafe fn is_over(state: *mut lua_State) -> bool {
    // SAFETY: every state has its gate there while it is open, used by its thread alone.
    unsafe { (*(*ffi::lua_callbacks(state)).userdata.cast::<Gate>()).check().is_some() }
}

/// Prepares `tag`: its metatable is on top of the stack and is popped.
///
/// # Safety
/// The state must be open and the tag not yet prepared.
pub(super) unsafe fn prepare(state: *mut lua_State, tag: u8) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_setuserdatadtor(state, c_int::from(tag), Some(drop_held));
        ffi::lua_setuserdatametatable(state, c_int::from(tag));
    }
}

unsafe extern "C" fn drop_held(state: *mut lua_State, place: *mut c_void) {
    // SAFETY: Lua calls this once for each userdata of the tag, all of which hold an object; the
    // memory outlives the state.
    unsafe {
        let held = place.cast::<Held>().read();
        (*memory_of(state)).give_native(held.bytes.get());
        // A panic may not leave a destructor that Lua calls.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(held)));
    }
}

/// The memory of a state.
pub(super) unsafe fn memory_of(state: *mut lua_State) -> *mut Memory {
    // SAFETY: every state has its gate there while it is open.
    unsafe { (*(*ffi::lua_callbacks(state)).userdata.cast::<Gate>()).memory }
}
