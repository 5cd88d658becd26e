//! Reading tables, by position and without raising.

use std::ffi::c_int;
use std::marker::PhantomData;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::args;
use super::args::Value;

/// A table that a host function reads.
#[derive(Clone, Copy)]
pub(in crate::sandbox) struct Table<'a> {
    state: *mut lua_State,
    slot: c_int,
    room: c_int,
    call: PhantomData<&'a ()>,
}

/// A place in a table, as long as the table is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Place(c_int);

impl Place {
    /// The place as Lua counts it.
    pub(super) fn number(self) -> c_int {
        self.0
    }

    /// Before the first pair.
    pub(in crate::sandbox) const START: Place = Place(0);
}

impl<'a> Table<'a> {
    /// # Safety
    /// There must be a table at `slot` that stays for `'a`, and `room` free slots above the top.
    pub(super) unsafe fn new(state: *mut lua_State, slot: c_int, room: c_int) -> Table<'a> {
        Table { state, slot, room, call: PhantomData }
    }

    /// Tells whether what is inside tables of this one can be read; too deep where not.
    pub(in crate::sandbox) fn has_room(&self) -> bool {
        self.room >= 2
    }

    /// Length by Lua's rules, metamethods left aside.
    pub(in crate::sandbox) fn len(&self) -> usize {
        // SAFETY: there is a table at the slot.
        unsafe { ffi::lua_objlen(self.state, self.slot) }
    }

    /// Calls `visit` with the pair that follows `place`; `None` when there is none left, or no room
    /// to read it.
    ///
    /// The second result is the place of that pair, from which the next is found; the pair itself
    /// is found again from `place`.
    pub(in crate::sandbox) fn visit<R>(
        &self,
        place: Place,
        visit: impl FnOnce(Value<'a>, Value<'a>) -> R,
    ) -> Option<(R, Place)> {
        if self.room < 2 {
            return None;
        }
        // SAFETY: there is a table at the slot and room for two values; what they hold is held by
        // the table too, which does not change during the call, so texts outlive the pops. Tables
        // found inside are only used within `visit`, see `each`.
        unsafe {
            let top = ffi::lua_gettop(self.state);
            let next = ffi::lua_rawiter(self.state, self.slot, place.0);
            if next < 0 {
                return None;
            }
            let key = args::value_at(self.state, top + 1, self.room - 2);
            let value = args::value_at(self.state, top + 2, self.room - 2);
            let result = visit(key, value);
            ffi::lua_settop(self.state, top);
            Some((result, Place(next)))
        }
    }

    /// Calls `visit` with every pair until it fails.
    pub(in crate::sandbox) fn each<E>(
        &self,
        mut visit: impl FnMut(Value<'a>, Value<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut place = Place::START;
        while let Some((result, next)) = self.visit(place, &mut visit) {
            result?;
            place = next;
        }
        Ok(())
    }

    /// Calls `visit` with the value at `index`, counted from one.
    pub(in crate::sandbox) fn item<R>(
        &self,
        index: usize,
        visit: impl FnOnce(Value<'a>) -> R,
    ) -> Option<R> {
        if self.room < 1 {
            return None;
        }
        let index = c_int::try_from(index).ok()?;
        // SAFETY: there is a table at the slot and room for the value.
        unsafe {
            let top = ffi::lua_gettop(self.state);
            ffi::lua_rawgeti_(self.state, self.slot, index);
            let value = args::value_at(self.state, top + 1, self.room - 1);
            let result = visit(value);
            ffi::lua_settop(self.state, top);
            Some(result)
        }
    }
}
