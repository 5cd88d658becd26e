//! Numbers as text, as Lua 5.1 has them: with 14 significant digits.
//!
//! Luau writes the shortest text that reads back as the same number, so that `1 / 3` or a time in
//! nanoseconds would look another way in `tostring`, in `..`, in `table.concat` and in the keys that
//! scripts make of them. All of these ask one function of Luau's. It stands alone in its file, so that
//! one of the same name, which the linker meets first, takes its place (`build.rs` has all linkers allow it);
//! where one took the other, the tests of Lua 5.1 would fail.

use std::ffi::c_char;

use crate::stdx::decimal;

/// As in `#define LUA_NUMBER_FMT "%.14g"`.
pub(super) const DIGITS: usize = 14;

/// What is less than this has no exponent when it is whole.
const EXACT: f64 = 1e14;

/// Has the linker keep [`print`] in every program that makes a Lua state.
pub(super) fn replace() {
    std::hint::black_box(print as unsafe extern "C" fn(*mut c_char, f64) -> *mut c_char);
}

/// Writes `number` to `buffer`, without a zero byte behind it, and returns the end: the
/// `char* luai_num2str(char*, double)` of Luau's C++.
///
/// # Safety
/// There must be room for 48 bytes.
#[unsafe(export_name = "_Z12luai_num2strPcd")]
unsafe extern "C" fn print(buffer: *mut c_char, number: f64) -> *mut c_char {
    let mut general = [0; decimal::GENERAL_BYTES];
    let mut whole = itoa::Buffer::new();
    #[allow(clippy::cast_possible_truncation, reason = "the number was found to fit")]
    let text = if number.abs() < EXACT && number.trunc() == number {
        if number == 0.0 && number.is_sign_negative() {
            b"-0"
        } else {
            whole.format(number as i64).as_bytes()
        }
    } else {
        decimal::general(&mut general, number, DIGITS)
    };
    // SAFETY: the caller has room for more than any of these texts.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), text.len());
        buffer.add(text.len())
    }
}
