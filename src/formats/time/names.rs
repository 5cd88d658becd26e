//! Names of months, of days of the week and of time zones.

const MONTHS: [&[u8]; 12] = [
    b"january",
    b"february",
    b"march",
    b"april",
    b"may",
    b"june",
    b"july",
    b"august",
    b"september",
    b"october",
    b"november",
    b"december",
];

const WEEKDAYS: [&[u8]; 7] =
    [b"sunday", b"monday", b"tuesday", b"wednesday", b"thursday", b"friday", b"saturday"];

/// Abbreviations that logs use, with their distance from Greenwich in minutes. Where one stands for
/// several zones it is the one of RFC 822.
const ZONES: &[(&[u8], i32)] = &[
    (b"UTC", 0),
    (b"GMT", 0),
    (b"Z", 0),
    (b"UT", 0),
    (b"WET", 0),
    (b"WEST", 60),
    (b"BST", 60),
    (b"CET", 60),
    (b"CEST", 120),
    (b"EET", 120),
    (b"EEST", 180),
    (b"MSK", 180),
    (b"IST", 330),
    (b"JST", 540),
    (b"KST", 540),
    (b"AEST", 600),
    (b"AEDT", 660),
    (b"NZST", 720),
    (b"NZDT", 780),
    (b"EST", -300),
    (b"EDT", -240),
    (b"CST", -360),
    (b"CDT", -300),
    (b"MST", -420),
    (b"MDT", -360),
    (b"PST", -480),
    (b"PDT", -420),
    (b"AKST", -540),
    (b"AKDT", -480),
    (b"HST", -600),
];

/// The month, 1 to 12, whose name or first three letters `bytes` begin with, and how long that is.
pub(super) fn month(bytes: &[u8]) -> Option<(u32, usize)> {
    named(&MONTHS, bytes).map(|(index, length)| (index + 1, length))
}

/// How long the name of a day of the week is, or its first three letters, that `bytes` begin with.
pub(super) fn weekday(bytes: &[u8]) -> Option<usize> {
    named(&WEEKDAYS, bytes).map(|(_, length)| length)
}

fn named(names: &[&[u8]], bytes: &[u8]) -> Option<(u32, usize)> {
    let begins =
        |name: &[u8]| bytes.get(..name.len()).is_some_and(|b| b.eq_ignore_ascii_case(name));
    let index = names.iter().position(|name| begins(&name[..3]))?;
    let length = if begins(names[index]) { names[index].len() } else { 3 };
    Some((u32::try_from(index).ok()?, length))
}

/// The name of a zone that `bytes` begin with: its length, and how many seconds it lies east of
/// Greenwich where that is known.
pub(super) fn zone(bytes: &[u8]) -> Option<(usize, Option<i32>)> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    if length == 0 || length > 5 {
        return None;
    }
    let known = ZONES.iter().find(|(name, _)| *name == &bytes[..length]);
    Some((length, known.map(|(_, minutes)| minutes * 60)))
}
