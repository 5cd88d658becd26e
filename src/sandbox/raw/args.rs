//! The arguments of a host function.
//!
//! Nothing here can raise a Lua error or allocate in Lua: values are read by their own type, a
//! table is walked by position. References live as long as the call: no Lua code runs and nothing
//! is collected before the host function has returned.

use std::cell::Cell;
use std::cell::Ref;
use std::cell::RefCell;
use std::cell::RefMut;
use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::mem::MaybeUninit;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::function::Complaint;
use super::number;
use super::object;
use super::object::Object;
use super::selector;
use super::walk::Table;
use crate::sandbox::pattern;
use crate::sandbox::selector::Selector;
use crate::sandbox::selector::parse;
use crate::stdx::decimal;

/// The type of a Lua value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Kind {
    None,
    Nil,
    Boolean,
    Number,
    Integer,
    Text,
    Table,
    Function,
    Userdata,
    Thread,
    Buffer,
    Other,
}

impl Kind {
    pub(in crate::sandbox) fn name(self) -> &'static str {
        match self {
            Kind::None => "no value",
            Kind::Nil => "nil",
            Kind::Boolean => "boolean",
            Kind::Number => "number",
            Kind::Integer => "integer",
            Kind::Text => "string",
            Kind::Table => "table",
            Kind::Function => "function",
            Kind::Userdata | Kind::Other => "userdata",
            Kind::Thread => "thread",
            Kind::Buffer => "buffer",
        }
    }

    fn from_type(number: c_int) -> Kind {
        match number {
            ffi::LUA_TNONE => Kind::None,
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TINTEGER => Kind::Integer,
            ffi::LUA_TSTRING => Kind::Text,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TUSERDATA => Kind::Userdata,
            ffi::LUA_TTHREAD => Kind::Thread,
            ffi::LUA_TBUFFER => Kind::Buffer,
            _ => Kind::Other,
        }
    }
}

/// A Lua value, read.
#[derive(Clone, Copy)]
pub(in crate::sandbox) enum Value<'a> {
    Nil,
    Bool(bool),
    Number(f64),
    Integer(i64),
    Text(&'a [u8]),
    Table(Table<'a>),
    /// A native object.
    Object(&'a RefCell<Box<dyn Object>>),
    /// Something that has no value outside Lua.
    Other(Kind),
}

impl Value<'_> {
    pub(in crate::sandbox) fn kind(&self) -> Kind {
        match self {
            Value::Nil => Kind::Nil,
            Value::Bool(_) => Kind::Boolean,
            Value::Number(_) => Kind::Number,
            Value::Integer(_) => Kind::Integer,
            Value::Text(_) => Kind::Text,
            Value::Table(_) => Kind::Table,
            Value::Object(_) => Kind::Userdata,
            Value::Other(kind) => *kind,
        }
    }
}

/// Bytes that the longest number takes as a text.
const NUMBER_BYTES: usize = 24;

/// As many numbers of one call are read as texts.
const MAX_TEXTS: usize = 32;

/// Room for the texts of numbers that are given where a text is wanted: Lua would turn them into strings of
/// its own, which may raise.
#[derive(Debug)]
pub(super) struct Texts {
    used: Cell<usize>,
    bytes: UnsafeCell<MaybeUninit<[[u8; NUMBER_BYTES]; MAX_TEXTS]>>,
}

impl Texts {
    pub(super) const fn new() -> Texts {
        Texts { used: Cell::new(0), bytes: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Keeps the text of a number; `None` when there is no room for it.
    fn keep(&self, write: impl FnOnce(&mut Vec<u8>)) -> Option<&[u8]> {
        let index = self.used.get();
        let mut text = Vec::with_capacity(NUMBER_BYTES);
        write(&mut text);
        if index >= MAX_TEXTS || text.len() > NUMBER_BYTES {
            return None;
        }
        self.used.set(index + 1);
        // SAFETY: this part of the room is written once, here, and only then referred to.
        unsafe {
            let place = self.bytes.get().cast::<u8>().add(index * NUMBER_BYTES);
            std::ptr::copy_nonoverlapping(text.as_ptr(), place, text.len());
            Some(std::slice::from_raw_parts(place, text.len()))
        }
    }
}

/// The arguments of one call, counted from one.
#[derive(Clone, Copy)]
pub(in crate::sandbox) struct Args<'a> {
    pub(super) state: *mut lua_State,
    count: c_int,
    /// How many values may still be pushed while a table is walked.
    room: c_int,
    texts: &'a Texts,
}

impl<'a> Args<'a> {
    /// # Safety
    /// `state` must be inside a call of a C function that leaves `room` slots free, for `'a`.
    pub(super) unsafe fn new(state: *mut lua_State, room: c_int, texts: &'a Texts) -> Args<'a> {
        // SAFETY: the caller's promise.
        let count = unsafe { ffi::lua_gettop(state) };
        Args { state, count, room, texts }
    }

    pub(in crate::sandbox) fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(0)
    }

    /// The slot of argument `index`; one past the last for what is not there.
    fn slot(&self, index: usize) -> c_int {
        c_int::try_from(index).unwrap_or(c_int::MAX).clamp(1, self.count + 1)
    }

    pub(in crate::sandbox) fn kind(&self, index: usize) -> Kind {
        // SAFETY: inside a call; a slot just past the top is none.
        Kind::from_type(unsafe { ffi::lua_type(self.state, self.slot(index)) })
    }

    pub(in crate::sandbox) fn is_absent(&self, index: usize) -> bool {
        matches!(self.kind(index), Kind::None | Kind::Nil)
    }

    /// A string, or the text of a number.
    pub(in crate::sandbox) fn text(&self, index: usize) -> Option<&'a [u8]> {
        // SAFETY: inside a call; the string is held by its slot for the whole call.
        unsafe { text_at(self.state, self.slot(index)) }.or_else(|| self.text_of_number(index))
    }

    #[cold]
    fn text_of_number(&self, index: usize) -> Option<&'a [u8]> {
        self.text_of(self.value(index))
    }

    /// The text of a value that stands in a table of this call: a string, or a number's.
    pub(in crate::sandbox) fn text_of(&self, value: Value<'a>) -> Option<&'a [u8]> {
        match value {
            Value::Text(text) => Some(text),
            Value::Number(number) => {
                self.texts.keep(|out| decimal::write_general(out, number, number::DIGITS))
            }
            Value::Integer(integer) => self.texts.keep(|out| {
                out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
            }),
            _ => None,
        }
    }

    /// A number, also one written as a string.
    pub(in crate::sandbox) fn number(&self, index: usize) -> Option<f64> {
        let slot = self.slot(index);
        let mut is_number = 0;
        // SAFETY: inside a call; neither function raises or converts in place.
        let number = unsafe { ffi::lua_tonumberx(self.state, slot, &raw mut is_number) };
        if is_number != 0 {
            return Some(number);
        }
        self.integer(index).map(|integer| integer as f64)
    }

    /// A value of the type integer.
    pub(in crate::sandbox) fn integer(&self, index: usize) -> Option<i64> {
        let mut is_integer = 0;
        // SAFETY: inside a call; the function does not raise.
        let integer =
            unsafe { ffi::lua_tointeger64(self.state, self.slot(index), &raw mut is_integer) };
        (is_integer != 0).then_some(integer)
    }

    /// The truth of an argument, as in a condition.
    pub(in crate::sandbox) fn truth(&self, index: usize) -> bool {
        // SAFETY: inside a call; the function does not raise.
        unsafe { ffi::lua_toboolean(self.state, self.slot(index)) != 0 }
    }

    pub(in crate::sandbox) fn value(&self, index: usize) -> Value<'a> {
        // SAFETY: inside a call, the slot keeps its value while it lasts.
        unsafe { value_at(self.state, self.slot(index), self.room) }
    }

    /// The text of an argument, and the part of a message it names.
    pub(in crate::sandbox) fn selector(
        &self,
        index: usize,
    ) -> Option<(&'a [u8], Option<Selector>)> {
        let mut length = 0;
        let mut atom = -1;
        // SAFETY: inside a call; a string is held by its slot, anything else gives null.
        let text = unsafe {
            let slot = self.slot(index);
            let start = ffi::lua_tolstringatom(self.state, slot, &raw mut length, &raw mut atom);
            if start.is_null() {
                return self.text_of_number(index).map(|text| (text, parse(text)));
            }
            std::slice::from_raw_parts(start.cast(), length)
        };
        let known = i16::try_from(atom)
            .ok()
            .filter(|atom| *atom >= 0)
            // SAFETY: inside a call the state is open.
            .and_then(|atom| unsafe { selector::known(self.state, atom) });
        Some((text, known.or_else(|| parse(text))))
    }

    /// Tells whether there is memory for a native object of `bytes`, or for as much that is pushed.
    pub(in crate::sandbox) fn admit(&self, bytes: usize) -> bool {
        // SAFETY: inside a call the state is open.
        unsafe { object::admit(self.state, bytes) }
    }

    /// Counts anew what the object at `index` takes, which must not be borrowed.
    pub(in crate::sandbox) fn recount(&self, index: usize) -> Result<(), Complaint> {
        // SAFETY: inside a call; the slot keeps the object alive while it lasts.
        let has_room = unsafe { object::recount(self.state, self.slot(index)) };
        if has_room { Ok(()) } else { Err("not enough memory".into()) }
    }

    /// Fails when the call has met its limit; for work that takes long, between its steps.
    pub(in crate::sandbox) fn go_on(&self) -> Result<(), Complaint> {
        // SAFETY: inside a call the state is open.
        if unsafe { object::is_over(self.state) } {
            return Err("cpu_limit exceeded".into());
        }
        Ok(())
    }

    /// The pattern at `index`, if it is one.
    pub(in crate::sandbox) fn pattern(&self, index: usize) -> Option<Ref<'a, pattern::Held>> {
        // SAFETY: inside a call; the slot keeps the object alive while it lasts.
        let cell = unsafe { object::at(self.state, self.slot(index)) }?;
        Ref::filter_map(cell.try_borrow().ok()?, |object| object.as_pattern()).ok()
    }

    /// The native object at `index`, if it is a `T` and not in use.
    pub(in crate::sandbox) fn object<T: Object>(&self, index: usize) -> Option<RefMut<'a, T>> {
        // SAFETY: inside a call; the slot keeps the object alive while it lasts.
        let cell = unsafe { object::at(self.state, self.slot(index)) }?;
        RefMut::filter_map(cell.try_borrow_mut().ok()?, |object| {
            object.as_any_mut().downcast_mut::<T>()
        })
        .ok()
    }
}

/// The string at `slot`.
///
/// # Safety
/// The slot must keep its value for `'a`.
pub(super) unsafe fn text_at<'a>(state: *mut lua_State, slot: c_int) -> Option<&'a [u8]> {
    // SAFETY: only a string is asked for its bytes, so nothing is converted in place.
    unsafe {
        if ffi::lua_type(state, slot) != ffi::LUA_TSTRING {
            return None;
        }
        let mut length = 0;
        let start = ffi::lua_tolstring(state, slot, &raw mut length);
        Some(std::slice::from_raw_parts(start.cast(), length))
    }
}

/// The value at `slot`.
///
/// # Safety
/// The slot must keep its value for `'a`, and `room` slots must be free above the top.
pub(super) unsafe fn value_at<'a>(state: *mut lua_State, slot: c_int, room: c_int) -> Value<'a> {
    // SAFETY: each function is asked for the type found, and none raises.
    unsafe {
        match Kind::from_type(ffi::lua_type(state, slot)) {
            Kind::None | Kind::Nil => Value::Nil,
            Kind::Boolean => Value::Bool(ffi::lua_toboolean(state, slot) != 0),
            Kind::Number => Value::Number(ffi::lua_tonumber(state, slot)),
            Kind::Integer => {
                Value::Integer(ffi::lua_tointeger64(state, slot, std::ptr::null_mut()))
            }
            Kind::Text => Value::Text(text_at(state, slot).unwrap_or_default()),
            Kind::Table => Value::Table(Table::new(state, slot, room)),
            Kind::Userdata => {
                object::at(state, slot).map_or(Value::Other(Kind::Userdata), Value::Object)
            }
            other => Value::Other(other),
        }
    }
}
