//! Values on their way to Lua: written in Rust, where nothing may raise, and pushed afterwards.

use std::ffi::c_int;

use mlua::ffi;
use mlua::ffi::lua_State;

/// One step of building values on the Lua stack.
#[derive(Clone, Copy, Debug)]
enum Item {
    Nil,
    /// `cjson.null`.
    Null,
    Bool(bool),
    Number(f64),
    Text {
        at: usize,
        len: usize,
    },
    /// A new table with room for so many items and pairs.
    Table {
        items: u32,
        pairs: u32,
    },
    /// What stands at `index` of the table that is an argument.
    Given {
        argument: u32,
        index: u32,
    },
    /// The two topmost values become a pair of the table below them.
    Pair,
    /// The topmost value becomes the item at this index of the table below it.
    Index(u32),
}

/// Values and the tables made of them, in the order in which they are pushed.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Tape {
    items: Vec<Item>,
    texts: Vec<u8>,
    /// Slots in use while pushing, and the most there were.
    height: usize,
    highest: usize,
}

impl Tape {
    pub(in crate::sandbox) fn clear(&mut self) {
        self.items.clear();
        self.texts.clear();
        self.height = 0;
        self.highest = 0;
    }

    pub(in crate::sandbox) fn nil(&mut self) {
        self.push(Item::Nil);
    }

    pub(in crate::sandbox) fn null(&mut self) {
        self.push(Item::Null);
    }

    pub(in crate::sandbox) fn bool(&mut self, truth: bool) {
        self.push(Item::Bool(truth));
    }

    pub(in crate::sandbox) fn number(&mut self, number: f64) {
        self.push(Item::Number(number));
    }

    pub(in crate::sandbox) fn text(&mut self, text: &[u8]) {
        let at = self.texts.len();
        self.texts.extend_from_slice(text);
        self.push(Item::Text { at, len: text.len() });
    }

    /// The value at `index` of the table that is argument `argument`, both counted from one; the tape is
    /// the answer to the call with that argument.
    pub(in crate::sandbox) fn given(&mut self, argument: usize, index: usize) {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.push(Item::Given { argument: narrow(argument), index: narrow(index) });
    }

    /// Begins a table; what follows goes into it by [`Tape::pair`] and [`Tape::item`].
    pub(in crate::sandbox) fn table(&mut self, items: usize, pairs: usize) {
        let narrow = |count: usize| u32::try_from(count).unwrap_or(0).min(1 << 20);
        self.push(Item::Table { items: narrow(items), pairs: narrow(pairs) });
    }

    /// Puts key and value, written last, into the table below them.
    pub(in crate::sandbox) fn pair(&mut self) {
        self.height -= 2;
        self.items.push(Item::Pair);
    }

    /// Puts the value written last into the table below it, at `index` counted from one.
    pub(in crate::sandbox) fn item(&mut self, index: usize) {
        self.height -= 1;
        self.items.push(Item::Index(u32::try_from(index).unwrap_or(u32::MAX)));
    }

    /// Takes away the value written last, which is no table.
    pub(in crate::sandbox) fn drop_last(&mut self) {
        self.items.pop();
        self.height -= 1;
    }

    /// How many bytes the tape takes.
    pub(in crate::sandbox) fn footprint(&self) -> usize {
        self.items.len() * size_of::<Item>() + self.texts.len()
    }

    fn push(&mut self, item: Item) {
        self.height += 1;
        self.highest = self.highest.max(self.height);
        self.items.push(item);
    }
}

/// Pushes the values on `tape`; raises when there is no memory.
///
/// # Safety
/// Must run where an error may be raised.
pub(super) unsafe fn push(state: *mut lua_State, tape: &Tape) {
    // SAFETY: the stack is made high enough; the height was counted while the tape was written, so
    // pairs and items find their tables. Nothing must be dropped when an error is raised.
    unsafe {
        let height = c_int::try_from(tape.highest).unwrap_or(c_int::MAX - 8);
        ffi::luaL_checkstack_(state, height + 4, c"value is nested too deep".as_ptr());
        for item in &tape.items {
            match *item {
                Item::Nil => ffi::lua_pushnil(state),
                Item::Null => ffi::lua_pushlightuserdata(state, std::ptr::null_mut()),
                Item::Bool(truth) => ffi::lua_pushboolean(state, c_int::from(truth)),
                Item::Number(number) => ffi::lua_pushnumber(state, number),
                Item::Text { at, len } => {
                    let start = tape.texts.as_ptr().add(at);
                    ffi::lua_pushlstring_(state, start.cast(), len);
                }
                Item::Given { argument, index } => {
                    let slot = argument.cast_signed();
                    if ffi::lua_type(state, slot) == ffi::LUA_TTABLE {
                        ffi::lua_rawgeti_(state, slot, index.cast_signed());
                    } else {
                        ffi::lua_pushnil(state);
                    }
                }
                Item::Table { items, pairs } => {
                    ffi::lua_createtable(state, items.cast_signed(), pairs.cast_signed());
                }
                Item::Pair => ffi::lua_rawset(state, -3),
                Item::Index(index) => ffi::lua_rawseti_(state, -2, index.cast_signed()),
            }
        }
    }
}
