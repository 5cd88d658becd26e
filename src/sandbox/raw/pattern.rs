//! Patterns in Lua: how they are made of other values, and where they keep the script's.
//!
//! A pattern is a native object. If it refers to values of the script (functions, tables), or gives
//! constants, it has a metatable of its own, a copy of that of all patterns, with two items that
//! scripts cannot see:
//!
//! | item | what |
//! | --- | --- |
//! | 1 | the values it refers to, in the order in which it counts them |
//! | 2 | its constants, once it has been matched |
//!
//! So the collector finds them, and a function that refers to the pattern it is part of is no leak.
//!
//! Luau wants a number of `#patt`. It gets one that stands for the predicate wherever a pattern is
//! wanted: a signaling NaN, which no script computes. Its negative stands for the opposite. What
//! arithmetic makes of it, in `#patt * 1` say, is a quiet NaN and refused, for Lua has not asked us.

use std::ffi::CStr;
use std::ffi::c_int;
use std::ffi::c_void;

use mlua::ffi;
use mlua::ffi::lua_State;

use super::function;
use super::function::HostFunction;
use super::matching;
use super::object;
use super::require::LOADED;
use super::state::Raised;
use super::state::State;
use crate::peg::ByteSet;
use crate::peg::Pattern;
use crate::sandbox::api::lpeg;
use crate::sandbox::context::Context;
use crate::sandbox::pattern::Patterns;
use crate::sandbox::pattern::Source;
use crate::sandbox::pattern::TAG;

/// A function that makes a pattern: its name, the arguments that are patterns, what it does with them.
pub(in crate::sandbox) type Maker = (&'static CStr, &'static [u8], HostFunction);

/// The items of a pattern's own metatable.
pub(super) const VALUES: c_int = 1;
pub(super) const CONSTANTS: c_int = 2;

/// Where the predicates stand that numbers stand for.
const LOOKS: &CStr = c"heka.lpeg.looks";

/// Free slots that are needed.
const ROOM: c_int = ffi::LUA_MINSTACK - 8;

impl State {
    /// Completes the library `lpeg`, which is there, by what makes and matches patterns.
    pub(in crate::sandbox) fn pattern_library(
        &mut self,
        makers: &'static [Maker],
        operators: &'static [Maker],
    ) -> Result<(), Raised> {
        let context = self.context_pointer();
        self.protected(|lua| {
            // SAFETY: runs protected, in an open state; the context outlives it.
            unsafe {
                ffi::lua_createtable(lua, 0, 0);
                ffi::lua_rawsetfield(lua, ffi::LUA_REGISTRYINDEX, LOOKS.as_ptr());
                ffi::lua_getfield(lua, ffi::LUA_GLOBALSINDEX, c"lpeg".as_ptr());
                for maker in makers {
                    push_maker(lua, context, maker, enter);
                    ffi::lua_setfield(lua, -2, maker.0.as_ptr());
                }
                let plain: [(&CStr, ffi::lua_CFunction); 4] = [
                    (c"P", pattern),
                    (c"match", matching::lpeg_match),
                    (c"type", type_of),
                    (c"locale", locale),
                ];
                for (name, function) in plain {
                    ffi::lua_pushlightuserdata(lua, context.cast());
                    ffi::lua_pushcclosurek(lua, function, name.as_ptr(), 1, None);
                    ffi::lua_setfield(lua, -2, name.as_ptr());
                }
                ffi::lua_createtable(lua, 0, 16);
                for maker in operators {
                    let is_length = maker.0 == c"__len";
                    push_maker(lua, context, maker, if is_length { enter_length } else { enter });
                    ffi::lua_setfield(lua, -2, maker.0.as_ptr());
                }
                ffi::lua_pushvalue(lua, -2);
                ffi::lua_setfield(lua, -2, c"__index".as_ptr());
                ffi::lua_pushstring_(lua, c"pattern".as_ptr());
                ffi::lua_setfield(lua, -2, c"__type".as_ptr());
                ffi::lua_pushstring_(lua, c"locked".as_ptr());
                ffi::lua_setfield(lua, -2, c"__metatable".as_ptr());
                ffi::lua_setreadonly(lua, -1, 1);
                object::prepare(lua, TAG);
            }
        })
    }
}

unsafe fn push_maker(
    lua: *mut lua_State,
    context: *mut Context,
    maker: &'static Maker,
    enter: ffi::lua_CFunction,
) {
    // SAFETY: runs protected; a reference to a constant fits a pointer.
    unsafe {
        ffi::lua_pushlightuserdata(lua, context.cast());
        ffi::lua_pushlightuserdata(lua, std::ptr::from_ref(maker).cast_mut().cast::<c_void>());
        ffi::lua_pushcclosurek(lua, enter, maker.0.as_ptr(), 2, None);
    }
}

/// The context behind a function of this file.
pub(super) unsafe fn context_of(lua: *mut lua_State) -> *mut Context {
    // SAFETY: the upvalue is what was put there.
    unsafe { ffi::lua_tolightuserdata(lua, ffi::lua_upvalueindex(1)).cast::<Context>() }
}

/// Makes a pattern by a [`Maker`].
unsafe extern "C-unwind" fn enter(lua: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; the upvalues are what `push_maker` put there; nothing must be dropped
    // when an error is raised.
    unsafe {
        let context = context_of(lua);
        let maker = ffi::lua_tolightuserdata(lua, ffi::lua_upvalueindex(2)).cast::<Maker>();
        let (_, patterns, make) = *maker;
        for slot in patterns {
            coerce(lua, context, c_int::from(*slot));
        }
        function::call(lua, ROOM, context, make);
        attach(lua, context);
        1
    }
}

/// `#patt`: makes the predicate, and a number that stands for it.
unsafe extern "C-unwind" fn enter_length(lua: *mut lua_State) -> c_int {
    // SAFETY: as in `enter`.
    unsafe {
        let context = context_of(lua);
        enter(lua);
        let number = (*context).patterns.next_look();
        ffi::lua_rawgetfield(lua, ffi::LUA_REGISTRYINDEX, LOOKS.as_ptr());
        ffi::lua_insert(lua, -2);
        ffi::lua_rawseti_(lua, -2, number);
        if number > Patterns::MAX_LOOKS {
            ffi::lua_pushnil(lua);
            ffi::lua_rawseti_(lua, -2, number - Patterns::MAX_LOOKS);
        }
        ffi::lua_pushnumber(lua, token(number));
        1
    }
}

/// The number that stands for the predicate of this number.
fn token(number: c_int) -> f64 {
    let number = u64::from(number.unsigned_abs());
    f64::from_bits(TOKEN | number << TOKEN_SHIFT | TOKEN_END)
}

/// What a number stands for.
#[derive(Clone, Copy, PartialEq)]
enum Meaning {
    Nothing,
    /// The predicate of this number, or its opposite.
    Look(c_int, bool),
    /// What arithmetic has made of one.
    Spoilt,
}

impl Meaning {
    fn of(token: f64) -> Meaning {
        let bits = token.to_bits() & !SIGN;
        let number = (bits & NUMBER) >> TOKEN_SHIFT;
        if bits & !NUMBER & !QUIET != TOKEN | TOKEN_END {
            return Meaning::Nothing;
        }
        match c_int::try_from(number) {
            Ok(_) if bits & QUIET != 0 => Meaning::Spoilt,
            Ok(number) if number > 0 => Meaning::Look(number, token.to_bits() & SIGN != 0),
            _ => Meaning::Nothing,
        }
    }
}

/// Exponent and first bits of the numbers that stand for predicates.
const TOKEN: u64 = 0x7ff2_7000_0000_0000;
const SIGN: u64 = 1 << 63;
const QUIET: u64 = 1 << 51;
const NUMBER: u64 = 0xffff_ffff << TOKEN_SHIFT;
const TOKEN_SHIFT: u32 = 12;
const TOKEN_END: u64 = 0x9d3;

/// `lpeg.P(value)`.
unsafe extern "C-unwind" fn pattern(lua: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing must be dropped when an error is raised.
    unsafe {
        ffi::luaL_checkany(lua, 1);
        coerce(lua, context_of(lua), 1);
        ffi::lua_settop(lua, 1);
        1
    }
}

/// `lpeg.type(value)`.
unsafe extern "C-unwind" fn type_of(lua: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing must be dropped when an error is raised.
    unsafe {
        let is_token = ffi::lua_type(lua, 1) == ffi::LUA_TNUMBER
            && matches!(Meaning::of(ffi::lua_tonumber(lua, 1)), Meaning::Look(..));
        if is_token || is_pattern(lua, 1) {
            ffi::lua_pushstring_(lua, c"pattern".as_ptr());
        } else {
            ffi::lua_pushnil(lua);
        }
        1
    }
}

/// `lpeg.locale([table])`: the classes of characters, as patterns.
unsafe extern "C-unwind" fn locale(lua: *mut lua_State) -> c_int {
    // SAFETY: called by Lua; nothing must be dropped when an error is raised.
    unsafe {
        let context = context_of(lua);
        if ffi::lua_type(lua, 1) <= ffi::LUA_TNIL {
            ffi::lua_settop(lua, 0);
            ffi::lua_createtable(lua, 0, 12);
        } else {
            ffi::luaL_checktype(lua, 1, ffi::LUA_TTABLE);
            ffi::lua_settop(lua, 1);
        }
        // Scripts put the classes into the library itself, as `lpeg.locale(lpeg)`: no other table of
        // the host takes them.
        let is_library = is_lpeg(lua);
        if is_library {
            ffi::lua_setreadonly(lua, 1, 0);
        }
        for (name, test) in lpeg::CLASSES {
            ffi::lua_pushlstring_(lua, name.as_ptr().cast(), name.len());
            function::run(lua, ROOM, context, move |cx, _| {
                cx.patterns.sources.clear();
                let held = cx.patterns.hold(Pattern::one_of(ByteSet::which(test)));
                cx.park(Box::new(held));
                Ok(function::Answer::Parked)
            });
            ffi::lua_settable(lua, 1);
        }
        if is_library {
            ffi::lua_setreadonly(lua, 1, 1);
        }
        1
    }
}

/// Tells whether the first argument is the library.
///
/// # Safety
/// Must run inside a call, where nothing is left to be dropped.
unsafe fn is_lpeg(lua: *mut lua_State) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let mut is_it = false;
        if ffi::lua_getfield(lua, ffi::LUA_REGISTRYINDEX, LOADED.as_ptr()) == ffi::LUA_TTABLE {
            ffi::lua_getfield(lua, -1, c"lpeg".as_ptr());
            is_it = ffi::lua_rawequal(lua, 1, -1) != 0;
        }
        ffi::lua_settop(lua, 1);
        is_it
    }
}

/// Tells whether there is a pattern at `slot`.
pub(super) unsafe fn is_pattern(lua: *mut lua_State, slot: c_int) -> bool {
    // SAFETY: inside a call.
    unsafe { ffi::lua_userdatatag(lua, slot) == c_int::from(TAG) }
}

/// Puts a pattern in the place of what stands at `slot`; raises when that cannot be made one.
///
/// # Safety
/// Must run inside a call, where nothing is left to be dropped.
pub(super) unsafe fn coerce(lua: *mut lua_State, context: *mut Context, slot: c_int) {
    // SAFETY: the caller's promise.
    unsafe {
        if is_pattern(lua, slot) {
            return;
        }
        if ffi::lua_gettop(lua) < slot {
            ffi::lua_settop(lua, slot);
        }
        let kind = ffi::lua_type(lua, slot);
        let mut is_negated = false;
        let meaning = match kind {
            ffi::LUA_TNUMBER => Meaning::of(ffi::lua_tonumber(lua, slot)),
            _ => Meaning::Nothing,
        };
        if meaning == Meaning::Spoilt {
            function::raise(
                lua,
                "#patt met a number: write lpeg.P(1) where 1 was meant as a pattern",
            );
        }
        if let Meaning::Look(number, is_not) = meaning {
            ffi::lua_rawgetfield(lua, ffi::LUA_REGISTRYINDEX, LOOKS.as_ptr());
            if ffi::lua_rawgeti_(lua, -1, number) == ffi::LUA_TNIL {
                ffi::luaL_error(lua, c"a predicate made by # is no longer known".as_ptr());
            }
            ffi::lua_replace(lua, slot);
            ffi::lua_settop(lua, -2);
            if !is_not {
                return;
            }
            is_negated = true;
        }
        let index = usize::try_from(slot).unwrap_or(1);
        function::run(lua, ROOM, context, move |cx, args| {
            if is_negated { lpeg::negate(cx, args, index) } else { lpeg::convert(cx, args, index) }
        });
        attach(lua, context);
        ffi::lua_replace(lua, slot);
    }
}

/// Gives the pattern on top the values it refers to.
unsafe fn attach(lua: *mut lua_State, context: *mut Context) {
    // SAFETY: inside a call; sources are copied one by one, so nothing is borrowed while Lua runs.
    unsafe {
        let made = ffi::lua_gettop(lua);
        let count = (*context).patterns.sources.len();
        if let ([Source::Pattern(only)], true) = (&(&(*context).patterns.sources)[..], count == 1) {
            // All that the other refers to: they share their list.
            let other = c_int::try_from(*only).unwrap_or(1);
            if push_values(lua, other) {
                give(lua, made, VALUES);
            }
            return;
        }
        let mut values = 0;
        for index in 0..count {
            let sources = &(*context).patterns.sources;
            let Some(source) = sources.get(index).copied() else { break };
            match source {
                Source::Argument(argument) => {
                    if values == 0 {
                        ffi::lua_createtable(lua, 1, 0);
                    }
                    ffi::lua_pushvalue(lua, c_int::try_from(argument).unwrap_or(1));
                    values += 1;
                    ffi::lua_rawseti_(lua, made + 1, values);
                }
                Source::Pattern(argument) => {
                    let slot = c_int::try_from(argument).unwrap_or(1);
                    append(lua, made + 1, slot, &mut values);
                }
                Source::Rule(argument, place) => {
                    let top = ffi::lua_gettop(lua);
                    let table = c_int::try_from(argument).unwrap_or(1);
                    if ffi::lua_rawiter(lua, table, place.number()) >= 0 {
                        // The pattern stands below the list.
                        ffi::lua_insert(lua, made + 1);
                        ffi::lua_settop(lua, top + 1);
                        append(lua, made + 2, made + 1, &mut values);
                        ffi::lua_remove(lua, made + 1);
                    }
                }
            }
        }
        if values > 0 {
            give(lua, made, VALUES);
        }
        ffi::lua_settop(lua, made);
    }
}

/// Appends the values of the pattern at `slot` to the list at `list`, made if there is none yet.
unsafe fn append(lua: *mut lua_State, list: c_int, slot: c_int, values: &mut c_int) {
    // SAFETY: inside a call.
    unsafe {
        if !push_values(lua, slot) {
            return;
        }
        let from = ffi::lua_gettop(lua);
        let own = value_count(lua, slot);
        if *values == 0 {
            ffi::lua_createtable(lua, own, 0);
            ffi::lua_insert(lua, from);
        }
        let source = ffi::lua_gettop(lua);
        for number in 1..=own {
            ffi::lua_rawgeti_(lua, source, number);
            *values += 1;
            ffi::lua_rawseti_(lua, list, *values);
        }
        ffi::lua_settop(lua, list);
    }
}

/// How many values the pattern at `slot` refers to.
pub(super) unsafe fn value_count(lua: *mut lua_State, slot: c_int) -> c_int {
    // SAFETY: inside a call.
    unsafe {
        let count = object::at(lua, slot)
            .and_then(|cell| cell.try_borrow().ok())
            .and_then(|held| held.as_pattern().map(|pattern| pattern.tree.values()));
        count.and_then(|count| c_int::try_from(count).ok()).unwrap_or(0)
    }
}

/// Pushes the values of the pattern at `slot`, if it has any.
pub(super) unsafe fn push_values(lua: *mut lua_State, slot: c_int) -> bool {
    // SAFETY: inside a call.
    unsafe {
        if ffi::lua_getmetatable(lua, slot) == 0 {
            return false;
        }
        if ffi::lua_rawgeti_(lua, -1, VALUES) == ffi::LUA_TNIL {
            ffi::lua_settop(lua, -3);
            return false;
        }
        ffi::lua_remove(lua, -2);
        true
    }
}

/// Puts what is on top into the metatable of the pattern at `slot`, under `item`.
///
/// # Safety
/// Must run inside a call, where nothing is left to be dropped.
pub(super) unsafe fn give(lua: *mut lua_State, slot: c_int, item: c_int) {
    // SAFETY: the caller's promise.
    unsafe {
        ffi::lua_getmetatable(lua, slot);
        ffi::lua_clonetable(lua, -1);
        ffi::lua_remove(lua, -2);
        ffi::lua_insert(lua, -2);
        ffi::lua_rawseti_(lua, -2, item);
        ffi::lua_setreadonly(lua, -1, 1);
        ffi::lua_setmetatable(lua, slot);
    }
}
