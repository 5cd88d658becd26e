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

/// How much stands on the stack.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Height(c_int);

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
        let height = self.height();
        let (key, value, next) = self.pair(place)?;
        let result = visit(key, value);
        self.go_back(height);
        Some((result, next))
    }

    /// The pair that follows `place`, as [`visit`](Self::visit) gives it, which stays on the stack until it
    /// goes back to where it was: for reading tables in tables without a stack of the host.
    pub(in crate::sandbox) fn open(&self, place: Place) -> Option<(Value<'a>, Value<'a>)> {
        self.pair(place).map(|(key, value, _)| (key, value))
    }

    /// Puts the pair that follows `place` on the stack, and says where it is.
    #[inline]
    fn pair(&self, place: Place) -> Option<(Value<'a>, Value<'a>, Place)> {
        if self.room < 2 {
            return None;
        }
        // SAFETY: there is a table at the slot and room for two values; what they hold is held by
        // the table too, which does not change during the call, so texts outlive the pops. Tables
        // found inside are only used until the caller goes back.
        unsafe {
            let top = ffi::lua_gettop(self.state);
            let next = ffi::lua_rawiter(self.state, self.slot, place.0);
            if next < 0 {
                return None;
            }
            let key = args::value_at(self.state, top + 1, self.room - 2);
            Some((key, args::value_at(self.state, top + 2, self.room - 2), Place(next)))
        }
    }

    /// The value at `index`, counted from one, which stays on the stack as with [`open`](Self::open).
    pub(in crate::sandbox) fn open_item(&self, index: usize) -> Option<Value<'a>> {
        if self.room < 1 {
            return None;
        }
        let index = c_int::try_from(index).ok()?;
        // SAFETY: there is a table at the slot and room for the value; the caller goes back before the
        // tables above are read on.
        unsafe {
            let top = ffi::lua_gettop(self.state);
            ffi::lua_rawgeti_(self.state, self.slot, index);
            Some(args::value_at(self.state, top + 1, self.room - 1))
        }
    }

    /// How much stands on the stack, for [`go_back`](Self::go_back).
    pub(in crate::sandbox) fn height(&self) -> Height {
        // SAFETY: inside a call.
        Height(unsafe { ffi::lua_gettop(self.state) })
    }

    /// Takes from the stack what was opened since it had this height.
    pub(in crate::sandbox) fn go_back(&self, height: Height) {
        // SAFETY: inside a call; only what was opened stands above.
        unsafe { ffi::lua_settop(self.state, height.0) };
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
        let height = self.height();
        let result = visit(self.open_item(index)?);
        self.go_back(height);
        Some(result)
    }
}
