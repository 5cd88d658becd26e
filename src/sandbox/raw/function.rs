//! Host functions: how Lua calls them.
//!
//! One C function stands behind all of them. It takes the context and the Rust function from its
//! upvalues, runs the function inside `catch_unwind`, and pushes the answer or raises the complaint
//! when that has returned.

use std::ffi::CStr;
use std::ffi::c_int;
use std::ffi::c_void;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::args::Args;
use super::args::Texts;
use super::object;
use super::object::Object;
use super::tape;
use crate::sandbox::context::Context;

/// What a host function returns to the script.
#[derive(Clone, Copy)]
pub(in crate::sandbox) enum Answer<'a> {
    /// No value at all.
    Nothing,
    Nil,
    Bool(bool),
    Number(f64),
    Text(&'a [u8]),
    /// Two numbers.
    Pair(f64, f64),
    /// So many values that were written to the tape of the context.
    Tape(usize),
    /// The native object that was parked in the context.
    Parked,
    /// The argument of this number.
    Argument(usize),
    /// The value kept under this number in the registry.
    Kept(c_int),
}

/// The error a host function raises.
#[derive(Debug)]
pub(in crate::sandbox) enum Complaint {
    Static(&'static str),
    Text(String),
}

impl From<&'static str> for Complaint {
    fn from(text: &'static str) -> Complaint {
        Complaint::Static(text)
    }
}

impl From<String> for Complaint {
    fn from(text: String) -> Complaint {
        Complaint::Text(text)
    }
}

/// A function that scripts can call.
pub(in crate::sandbox) type HostFunction =
    for<'a> fn(&'a mut Context, Args<'a>) -> Result<Answer<'a>, Complaint>;

/// A host function with its name in Lua.
pub(in crate::sandbox) type Named = (&'static CStr, HostFunction);

/// A kind of native object.
#[derive(Debug)]
pub(in crate::sandbox) struct ObjectKind {
    /// Its own number, by which snapshots know it too.
    pub(in crate::sandbox) tag: u8,
    pub(in crate::sandbox) name: &'static CStr,
    pub(in crate::sandbox) methods: &'static [Named],
    /// What Lua's operators and `tostring` call.
    pub(in crate::sandbox) metamethods: &'static [Named],
    /// Makes one of the state it was saved with; `None` when that is damaged.
    pub(in crate::sandbox) load: fn(&[u8]) -> Option<Box<dyn Object>>,
}

/// A library that a script gets by `require`.
#[derive(Debug)]
pub(in crate::sandbox) struct Library {
    pub(in crate::sandbox) name: &'static CStr,
    pub(in crate::sandbox) functions: &'static [Named],
    /// Tables of functions in it, by their names.
    pub(in crate::sandbox) parts: &'static [(&'static CStr, &'static [Named])],
    pub(in crate::sandbox) kinds: &'static [ObjectKind],
}

/// Free slots a host function finds above its arguments.
const ROOM: c_int = ffi::LUA_MINSTACK - 2;

/// Free slots for functions that walk deep tables: two for each table, and some to read with.
const DEEP_ROOM: c_int = 2016;

/// Pushes `function` as a Lua function.
///
/// # Safety
/// `context` must outlive the state, in which an error may be raised.
pub(super) unsafe fn push(state: *mut lua_State, context: *mut Context, (name, function): Named) {
    #[cfg(test)]
    note_given((name, function));
    // SAFETY: a function pointer fits a pointer; `enter` turns it back.
    unsafe {
        ffi::lua_pushlightuserdata(state, context.cast());
        ffi::lua_pushlightuserdata(state, function as *mut c_void);
        ffi::lua_pushcclosurek(state, enter, name.as_ptr(), 2, None);
    }
}

/// Pushes `function` as [`push`] does, with room for tables 1000 deep.
///
/// # Safety
/// As for [`push`].
pub(super) unsafe fn push_deep(
    state: *mut lua_State,
    context: *mut Context,
    (name, function): Named,
) {
    #[cfg(test)]
    note_given((name, function));
    // SAFETY: as in `push`.
    unsafe {
        ffi::lua_pushlightuserdata(state, context.cast());
        ffi::lua_pushlightuserdata(state, function as *mut c_void);
        ffi::lua_pushcclosurek(state, enter_deep, name.as_ptr(), 2, None);
    }
}

unsafe extern "C-unwind" fn enter(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua, with the minimum of free slots.
    unsafe { answer(state, ROOM) }
}

unsafe extern "C-unwind" fn enter_deep(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; the stack is made larger before it is relied on.
    unsafe {
        ffi::luaL_checkstack_(state, DEEP_ROOM + 4, c"too deep".as_ptr());
        answer(state, DEEP_ROOM)
    }
}

/// The host functions that scripts were given in the tests, by their addresses.
#[cfg(test)]
pub(in crate::sandbox) static GIVEN: std::sync::Mutex<std::collections::BTreeMap<usize, String>> =
    std::sync::Mutex::new(std::collections::BTreeMap::new());

#[cfg(test)]
fn note_given((name, function): Named) {
    let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    given.insert(function as usize, name.to_string_lossy().into_owned());
}

#[cfg(test)]
fn note_call(context: &mut Context, function: HostFunction) {
    context.called.insert(function as usize);
    assert!(context.panics_at != Some(function as usize), "a test asks for it");
}

/// What is left to do when the Rust part is over.
enum Rest<'a> {
    Push(Answer<'a>),
    Raise,
    Panicked,
}

/// # Safety
/// Must be called by Lua, for a closure made by [`push`], with `room` free slots.
unsafe fn answer(state: *mut lua_State, room: c_int) -> c_int {
    // SAFETY: the upvalues are what `push` put there; the context outlives the state and is not
    // otherwise referred to while Lua runs; nothing here must be dropped when an error is raised.
    unsafe {
        let context = ffi::lua_tolightuserdata(state, ffi::lua_upvalueindex(1)).cast::<Context>();
        let function = ffi::lua_tolightuserdata(state, ffi::lua_upvalueindex(2));
        let function = std::mem::transmute::<*mut c_void, HostFunction>(function);
        call(state, room, context, function)
    }
}

/// Runs a host function, and pushes its answer or raises its complaint.
///
/// # Safety
/// As for [`run`].
pub(super) unsafe fn call(
    state: *mut lua_State,
    room: c_int,
    context: *mut Context,
    function: HostFunction,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        run(state, room, context, move |cx, args| {
            #[cfg(test)]
            note_call(cx, function);
            function(cx, args)
        })
    }
}

/// Runs `work` as a host function, and pushes its answer or raises its complaint.
///
/// # Safety
/// Must run inside a call with `room` free slots, where nothing is left to be dropped, `work`
/// included; the context must outlive the state.
pub(super) unsafe fn run<W>(
    state: *mut lua_State,
    room: c_int,
    context: *mut Context,
    work: W,
) -> c_int
where
    W: for<'a> FnOnce(&'a mut Context, Args<'a>) -> Result<Answer<'a>, Complaint> + Copy,
{
    // SAFETY: the context is not otherwise referred to while Lua runs; nothing here must be dropped
    // when an error is raised.
    unsafe {
        let texts = Texts::new();
        let args = Args::new(state, room, &texts);
        let rest = catch_unwind(AssertUnwindSafe(|| match work(&mut *context, args) {
            Ok(answer) => Rest::Push(answer),
            Err(complaint) => {
                (*context).complain(complaint);
                Rest::Raise
            }
        }))
        .unwrap_or(Rest::Panicked);
        match rest {
            Rest::Push(answer) => push_answer(state, context, answer),
            Rest::Raise => raise(state, (*context).complaint()),
            Rest::Panicked => raise(state, "the host function failed: this is a fault in Heka"),
        }
    }
}

/// Raises `text` with the place in the script in front.
///
/// # Safety
/// Must run inside a call, where nothing is left to be dropped.
pub(super) unsafe fn raise(state: *mut lua_State, text: &str) -> ! {
    // SAFETY: inside a call; nothing must be dropped.
    unsafe {
        ffi::luaL_where(state, 1);
        ffi::lua_pushlstring_(state, text.as_ptr().cast(), text.len());
        ffi::lua_concat(state, 2);
        ffi::lua_error(state)
    }
}

unsafe fn push_answer(state: *mut lua_State, context: *mut Context, answer: Answer<'_>) -> c_int {
    // SAFETY: inside a call with free slots; each push may raise, and nothing must be dropped then.
    unsafe {
        match answer {
            Answer::Nothing => return 0,
            Answer::Nil => ffi::lua_pushnil(state),
            Answer::Bool(truth) => ffi::lua_pushboolean(state, c_int::from(truth)),
            Answer::Number(number) => ffi::lua_pushnumber(state, number),
            Answer::Text(text) => {
                ffi::lua_pushlstring_(state, text.as_ptr().cast(), text.len());
            }
            Answer::Pair(first, second) => {
                ffi::lua_pushnumber(state, first);
                ffi::lua_pushnumber(state, second);
                return 2;
            }
            Answer::Tape(values) => {
                tape::push(state, (*context).tape());
                return c_int::try_from(values).unwrap_or(0);
            }
            Answer::Parked => object::push(state, (*context).parked()),
            Answer::Argument(index) => {
                ffi::lua_pushvalue(state, c_int::try_from(index).unwrap_or(1));
            }
            Answer::Kept(number) => {
                ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, number);
            }
        }
    }
    1
}
