//! The arguments of a host function, demanded: what is wrong is an error that says which argument,
//! what it is called and what it should have been.

use std::cell::RefMut;
use std::ops::RangeInclusive;

use super::raw::Args;
use super::raw::Complaint;
use super::raw::Object;
use super::raw::Value;

/// The arguments of one call of a function or method.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) args: Args<'a>,
    name: &'static str,
    /// Whether the first argument is the object that the method belongs to.
    is_method: bool,
}

/// A string, or the bytes of a number.
pub(super) enum Key<'a> {
    Text(&'a [u8]),
    Number([u8; 8]),
}

impl Key<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Key::Text(text) => text,
            Key::Number(bytes) => bytes,
        }
    }
}

impl<'a> Call<'a> {
    pub(super) fn function(name: &'static str, args: Args<'a>) -> Call<'a> {
        Call { args, name, is_method: false }
    }

    pub(super) fn method(name: &'static str, args: Args<'a>) -> Call<'a> {
        Call { args, name, is_method: true }
    }

    /// Where argument `number` lies; of a method the object does not count.
    pub(super) fn slot(&self, number: usize) -> usize {
        number + usize::from(self.is_method)
    }

    /// How many arguments there are.
    pub(super) fn len(&self) -> usize {
        self.args.len().saturating_sub(usize::from(self.is_method))
    }

    pub(super) fn is_absent(&self, number: usize) -> bool {
        self.args.is_absent(self.slot(number))
    }

    pub(super) fn value(&self, number: usize) -> Value<'a> {
        self.args.value(self.slot(number))
    }

    /// The complaint about the type of argument `number`, in the words of Lua 5.1.
    pub(super) fn wrong(&self, number: usize, expected: &str) -> Complaint {
        let got = self.args.kind(self.slot(number)).name();
        self.complaint(number, &format!("{expected} expected, got {got}"))
    }

    /// The complaint about argument `number`.
    pub(super) fn complaint(&self, number: usize, why: &str) -> Complaint {
        format!("bad argument #{number} to '{}' ({why})", self.name).into()
    }

    /// The complaint about the value of argument `number`, called `what`.
    pub(super) fn refused(
        &self,
        number: usize,
        what: &str,
        why: impl std::fmt::Display,
    ) -> Complaint {
        self.complaint(number, &format!("{what}: {why}"))
    }

    /// A string; a number is taken as its text, as everywhere in Lua.
    pub(super) fn text(&self, number: usize) -> Result<&'a [u8], Complaint> {
        self.args.text(self.slot(number)).ok_or_else(|| self.wrong(number, "string"))
    }

    /// A string that may be left out.
    pub(super) fn optional_text(
        &self,
        number: usize,
        default: &'static [u8],
    ) -> Result<&'a [u8], Complaint> {
        if self.is_absent(number) { Ok(default) } else { self.text(number) }
    }

    /// A number, or a string that reads as one.
    pub(super) fn number(&self, number: usize) -> Result<f64, Complaint> {
        self.args.number(self.slot(number)).ok_or_else(|| self.wrong(number, "number"))
    }

    /// A number that may be left out.
    pub(super) fn optional_number(&self, number: usize, default: f64) -> Result<f64, Complaint> {
        if self.is_absent(number) { Ok(default) } else { self.number(number) }
    }

    /// What a word stands for, one of a few; another is refused as Lua 5.1 does it.
    pub(super) fn one_of<T>(
        &self,
        (number, default): (usize, Option<&'static [u8]>),
        find: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, Complaint> {
        let word = match default {
            Some(default) => self.optional_text(number, default)?,
            None => self.text(number)?,
        };
        find(word).ok_or_else(|| {
            self.complaint(number, &format!("invalid option '{}'", String::from_utf8_lossy(word)))
        })
    }

    /// A whole number within a range; a fraction is cut off, as Lua 5.1 does.
    #[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
    pub(super) fn whole(
        &self,
        number: usize,
        what: &str,
        range: RangeInclusive<i64>,
    ) -> Result<i64, Complaint> {
        let given = self.number(number)?;
        let value = given as i64;
        if range.contains(&value) && !given.is_nan() {
            return Ok(value);
        }
        let why = match (*range.start(), *range.end()) {
            (_, last) if value > last => format!("must be <= {last}"),
            (0, _) => "must be >= 0".to_owned(),
            (first, _) => format!("must be > {}", first.saturating_sub(1)),
        };
        Err(self.complaint(number, &format!("{what} {why}")))
    }

    pub(super) fn optional_whole(
        &self,
        number: usize,
        what: &str,
        range: RangeInclusive<i64>,
        default: i64,
    ) -> Result<i64, Complaint> {
        if self.is_absent(number) { Ok(default) } else { self.whole(number, what, range) }
    }

    /// A time in nanoseconds.
    #[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
    pub(super) fn time(&self, number: usize) -> Result<i64, Complaint> {
        match self.number(number)? {
            ns if ns.is_nan() => Err(self.refused(number, "ns", "time expected, got nan")),
            ns => Ok(ns as i64),
        }
    }

    /// A time that may be left out.
    pub(super) fn optional_time(&self, number: usize) -> Result<Option<i64>, Complaint> {
        if self.is_absent(number) { Ok(None) } else { self.time(number).map(Some) }
    }

    /// A string or a number; strings of digits are not numbers here.
    pub(super) fn key(&self, number: usize) -> Result<Key<'a>, Complaint> {
        match self.value(number) {
            Value::Text(text) => Ok(Key::Text(text)),
            Value::Number(value) => Ok(Key::Number((value + 0.0).to_le_bytes())),
            Value::Integer(value) => Ok(Key::Number((value as f64).to_le_bytes())),
            _ => Err(self.wrong(number, "string or number")),
        }
    }

    /// The object a method belongs to.
    pub(super) fn this<T: Object>(&self) -> Result<RefMut<'a, T>, Complaint> {
        let found = self.args.object::<T>(1);
        found
            .ok_or_else(|| format!("calling '{}' on bad self (call it with ':')", self.name).into())
    }

    pub(super) fn object<T: Object>(
        &self,
        number: usize,
        expected: &str,
    ) -> Result<RefMut<'a, T>, Complaint> {
        let found = self.args.object::<T>(self.slot(number));
        found.ok_or_else(|| self.wrong(number, expected))
    }

    /// Refuses a new object that has no room in the memory of the script.
    pub(super) fn admit(&self, bytes: Option<usize>) -> Result<(), Complaint> {
        if bytes.is_some_and(|bytes| self.args.admit(bytes)) {
            Ok(())
        } else {
            Err("not enough memory".into())
        }
    }
}
