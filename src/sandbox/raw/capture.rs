//! Builds the values of a match on the Lua stack, by the steps of a plan.

use std::ffi::CStr;
use std::ffi::c_int;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::function;
use super::interrupt;
use super::matching::Matching;
use super::object;
use crate::peg::Action;
use crate::sandbox::pattern::Running;

/// After so many steps it is looked whether the call is over a limit.
const STEPS: usize = 4096;

/// So many steps need at most so many slots.
const STRIDE: usize = 16;
const SLOTS: c_int = 64;

/// Carries out the plan of a match; its values are on the stack then.
///
/// # Safety
/// Must run inside a call, where nothing is left to be dropped.
pub(super) unsafe fn carry_out(matching: Matching) {
    let Matching { lua, running, .. } = matching;
    // SAFETY: the plan does not change meanwhile, for a match inside of one that calls the script has
    // room of its own; steps are copied one by one.
    unsafe {
        let mut builder =
            Builder { matching, lua, marks: (*running).marks.len(), top: ffi::lua_gettop(lua) };
        let mut index = 0;
        while let Some(action) = step(running, index) {
            if index % STRIDE == 0 {
                ffi::luaL_checkstack_(lua, SLOTS, c"too many captures".as_ptr());
                if index % STEPS == STEPS - STRIDE {
                    interrupt::poll(lua);
                }
            }
            builder.act(action);
            index += 1;
        }
    }
}

/// A step of the plan.
unsafe fn step(running: *mut Running, index: usize) -> Option<Action> {
    // SAFETY: the room of the match is not borrowed.
    let plan = unsafe { &(*running).plan };
    plan.actions().get(index).copied()
}

struct Builder {
    matching: Matching,
    lua: *mut lua_State,
    /// Marks below this one belong to others.
    marks: usize,
    /// Where the values begin.
    top: c_int,
}

impl Builder {
    /// # Safety
    /// Must run inside a call with free slots, where nothing is left to be dropped.
    #[allow(clippy::too_many_lines, reason = "one match over all steps is plainest")]
    unsafe fn act(&mut self, action: Action) {
        let Matching { running, constants, arguments, .. } = self.matching;
        let lua = self.lua;
        // SAFETY: the caller's promise; the room of the match is owned from elsewhere and not
        // borrowed when Lua is called.
        unsafe {
            match action {
                Action::Text { at, length } => self.push_text(at, length),
                Action::Number(number) => ffi::lua_pushnumber(lua, f64::from(number)),
                Action::Constant(number) => self.push_constant(number),
                Action::Argument(number) => {
                    let slot = number.cast_signed().saturating_add(3);
                    if slot > arguments {
                        let text = c"reference to absent extra argument #%d";
                        ffi::luaL_error(lua, text.as_ptr(), number.cast_signed());
                    }
                    ffi::lua_pushvalue(lua, slot);
                }
                Action::Held(number) => {
                    let number = number.cast_signed().saturating_add(1);
                    ffi::lua_rawgeti_(lua, constants + 1, number);
                }
                Action::Mark => (*running).marks.push((ffi::lua_gettop(lua), 0)),
                Action::Unmark => {
                    (*running).marks.pop();
                }
                Action::Whole { at, length } => {
                    if ffi::lua_gettop(lua) == self.mark().0 {
                        self.push_text(at, length);
                    }
                }
                Action::Table { items, fields } => {
                    ffi::lua_createtable(lua, items.cast_signed(), fields.cast_signed());
                    (*running).marks.push((ffi::lua_gettop(lua), 0));
                }
                Action::ItemText { at, length } => {
                    self.push_text(at, length);
                    self.append();
                }
                Action::Items => self.append(),
                Action::FieldText { key, at, length } => {
                    let table = self.mark().0;
                    self.push_constant(key);
                    self.push_text(at, length);
                    ffi::lua_rawset(lua, table);
                }
                Action::Field(key) => {
                    let first = self.take_first();
                    let table = self.mark().0;
                    if first {
                        self.push_constant(key);
                        ffi::lua_insert(lua, -2);
                        ffi::lua_rawset(lua, table);
                    }
                }
                Action::Select(number) => self.select(number),
                Action::Query(constant) => {
                    if self.take_first() {
                        self.push_constant(constant);
                        ffi::lua_insert(lua, -2);
                        ffi::lua_gettable(lua, -2);
                        ffi::lua_remove(lua, -2);
                        if ffi::lua_type(lua, -1) == ffi::LUA_TNIL {
                            ffi::lua_settop(lua, -2);
                        }
                    }
                }
                Action::Call(constant) => {
                    let mark = self.unmark();
                    self.push_constant(constant);
                    ffi::lua_insert(lua, mark + 1);
                    ffi::lua_call(lua, ffi::lua_gettop(lua) - mark - 1, ffi::LUA_MULTRET);
                    ffi::luaL_checkstack_(lua, SLOTS, c"too many captures".as_ptr());
                }
                Action::FoldFirst => {
                    if !self.take_first() {
                        ffi::luaL_error(lua, c"no initial value for fold capture".as_ptr());
                    }
                }
                Action::FoldArm(constant) => {
                    self.push_constant(constant);
                    ffi::lua_insert(lua, -2);
                    (*running).marks.push((ffi::lua_gettop(lua) - 2, 0));
                }
                Action::FoldCall => {
                    let mark = self.unmark();
                    ffi::lua_call(lua, ffi::lua_gettop(lua) - mark - 1, 1);
                }
                Action::Begin => (*running).text_starts.push((*running).text.len()),
                Action::Add { at, length } => self.add_subject(at, length),
                Action::AddConstant { at, length } => {
                    let program = (*running).machine.program();
                    let text = program.map(|program| std::ptr::from_ref(program.slice(at, length)));
                    self.add(text.unwrap_or(&raw const *b""));
                }
                Action::AddValue { at, length } => {
                    if self.take_first() {
                        self.add_value(c"replacement");
                    } else {
                        self.add_subject(at, length);
                    }
                }
                Action::AddCapture(number) => {
                    if !self.take_first() {
                        let text = c"no values in capture index %d";
                        ffi::luaL_error(lua, text.as_ptr(), number.cast_signed());
                    }
                    self.add_value(c"capture");
                }
                Action::End => {
                    let start = (*running).text_starts.pop().unwrap_or(0);
                    let text = &(*running).text;
                    let text = text.get(start..).unwrap_or_default();
                    ffi::lua_pushlstring_(lua, text.as_ptr().cast(), text.len());
                    (*running).text.truncate(start);
                }
            }
        }
    }

    unsafe fn push_text(&self, at: u32, length: u32) {
        // SAFETY: the subject is held by its slot.
        unsafe {
            let (at, length) = (at as usize, length as usize);
            let text = (&*self.matching.subject).get(at..at + length).unwrap_or_default();
            ffi::lua_pushlstring_(self.lua, text.as_ptr().cast(), text.len());
        }
    }

    unsafe fn push_constant(&self, number: u32) {
        // SAFETY: where a plan names constants, there is a table of them.
        unsafe {
            let constants = self.matching.constants;
            if ffi::lua_type(self.lua, constants) == ffi::LUA_TTABLE {
                let number = number.cast_signed().saturating_add(1);
                ffi::lua_rawgeti_(self.lua, constants, number);
            } else {
                ffi::lua_pushnil(self.lua);
            }
        }
    }

    /// The last mark.
    unsafe fn mark(&self) -> (c_int, c_int) {
        // SAFETY: the room of the match is not borrowed.
        let marks = unsafe { &(*self.matching.running).marks };
        marks.get(self.marks..).and_then(<[_]>::last).copied().unwrap_or((self.top, 0))
    }

    unsafe fn unmark(&self) -> c_int {
        // SAFETY: the room of the match is not borrowed.
        unsafe {
            let mark = self.mark().0;
            (*self.matching.running).marks.pop();
            mark
        }
    }

    /// Forgets the last mark and all values above it but the first; false when there is none.
    unsafe fn take_first(&self) -> bool {
        // SAFETY: inside a call.
        unsafe {
            let mark = self.unmark();
            if ffi::lua_gettop(self.lua) <= mark {
                return false;
            }
            ffi::lua_settop(self.lua, mark + 1);
            true
        }
    }

    /// Appends the values above the table at the last mark to it.
    unsafe fn append(&self) {
        let lua = self.lua;
        // SAFETY: inside a call; there is a table at the mark.
        unsafe {
            let (table, items) = self.mark();
            let count = ffi::lua_gettop(lua) - table;
            for index in (1..=count).rev() {
                ffi::lua_rawseti_(lua, table, items.saturating_add(index));
            }
            let marks = &mut (*self.matching.running).marks;
            if let Some(mark) = marks.last_mut() {
                mark.1 = items.saturating_add(count.max(0));
            }
        }
    }

    unsafe fn select(&self, number: u32) {
        let lua = self.lua;
        // SAFETY: inside a call.
        unsafe {
            let mark = self.unmark();
            let slot = mark.saturating_add(number.cast_signed());
            if slot > ffi::lua_gettop(lua) {
                ffi::luaL_error(lua, c"no capture '%d'".as_ptr(), number.cast_signed());
            }
            ffi::lua_pushvalue(lua, slot);
            ffi::lua_replace(lua, mark + 1);
            ffi::lua_settop(lua, mark + 1);
        }
    }

    unsafe fn add_subject(&self, at: u32, length: u32) {
        // SAFETY: the subject is held by its slot.
        unsafe {
            let (at, length) = (at as usize, length as usize);
            let text = (&*self.matching.subject).get(at..at + length).unwrap_or_default();
            self.add(text);
        }
    }

    /// Adds the value on top to the text, and pops it.
    unsafe fn add_value(&self, what: &CStr) {
        let lua = self.lua;
        // SAFETY: inside a call; the value is held by its slot while it is copied.
        unsafe {
            if ffi::lua_isstring(lua, -1) == 0 {
                let kind = ffi::luaL_typename(lua, -1);
                let text = c"invalid %s value (a %s)";
                ffi::luaL_error(lua, text.as_ptr(), what.as_ptr(), kind);
            }
            let mut length = 0;
            let start = ffi::lua_tolstring(lua, -1, &raw mut length);
            self.add(std::ptr::slice_from_raw_parts(start.cast::<u8>(), length));
            ffi::lua_settop(lua, -2);
        }
    }

    /// Adds to the text that is being put together.
    unsafe fn add(&self, more: *const [u8]) {
        // SAFETY: what is added does not lie in the text itself.
        unsafe {
            let text = &raw mut (*self.matching.running).text;
            let length = more.len();
            if (*text).capacity() - (*text).len() < length {
                let grown = length.max((*text).capacity());
                if !object::admit(self.lua, grown) {
                    function::raise(self.lua, "not enough memory");
                }
            }
            (*text).extend_from_slice(&*more);
        }
    }
}
