//! Lua values as JSON, as lua-cjson 2.1 writes them.
//!
//! Tables in tables stand on the stack of Lua, and what is left to do of each in a list: writing needs no
//! stack of its own, however deep they are. The members of an object are written in the order of their
//! names, so that the same table always makes the same text.

use smallvec::SmallVec;

use crate::formats::json_text;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Height;
use crate::sandbox::raw::Kind;
use crate::sandbox::raw::Place;
use crate::sandbox::raw::Table;
use crate::sandbox::raw::Value;
use crate::stdx::decimal;

/// No table is written and no text read deeper than this.
pub(in crate::sandbox) const DEEPEST: usize = 1000;

/// After so many values the budget is asked whether the call may go on.
const STEPS: u32 = 1024;

/// How a script wants its JSON.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Style {
    pub(in crate::sandbox) keeps_null: bool,
    /// Whether numbers that JSON does not have are read.
    pub(in crate::sandbox) reads_invalid: bool,
    pub(in crate::sandbox) writes_invalid: Invalid,
    pub(in crate::sandbox) decode_depth: usize,
    pub(in crate::sandbox) encode_depth: usize,
    pub(in crate::sandbox) digits: usize,
    /// Arrays with more holes than values become objects rather than errors.
    pub(in crate::sandbox) converts_sparse: bool,
    pub(in crate::sandbox) sparse_ratio: usize,
    pub(in crate::sandbox) sparse_safe: usize,
}

/// What becomes of NaN and infinity when they are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Invalid {
    Refused,
    Null,
    /// As JavaScript has them.
    Written,
}

impl Default for Style {
    fn default() -> Style {
        Style {
            keeps_null: false,
            reads_invalid: true,
            writes_invalid: Invalid::Refused,
            decode_depth: DEEPEST,
            encode_depth: DEEPEST,
            digits: 14,
            converts_sparse: false,
            sparse_ratio: 2,
            sparse_safe: 10,
        }
    }
}

/// Appends `value` to `out`, which is given with the bytes it may hold; fails with what cannot be written.
pub(in crate::sandbox) fn encode(
    value: Value<'_>,
    style: Style,
    (out, limit): (&mut Vec<u8>, usize),
    goes_on: &dyn Fn() -> Result<(), Complaint>,
) -> Result<(), Complaint> {
    let mut encoder = Encoder { out, style, open: Vec::new() };
    encoder.value(value)?;
    let mut steps = 0_u32;
    while encoder.step()? {
        if encoder.out.len() > limit {
            break;
        }
        steps = steps.wrapping_add(1);
        if steps.is_multiple_of(STEPS) {
            goes_on()?;
        }
    }
    if encoder.out.len() > limit { Err("output_limit exceeded".into()) } else { Ok(()) }
}

struct Encoder<'a, 'o> {
    out: &'o mut Vec<u8>,
    style: Style,
    /// The tables that have begun, the innermost last.
    open: Vec<Open<'a>>,
}

/// A table that has begun.
struct Open<'a> {
    table: Table<'a>,
    /// Of the stack, before what the table opens.
    height: Height,
    rest: Rest,
    is_first: bool,
}

/// What is left to write of a table.
enum Rest {
    Items(std::ops::RangeInclusive<usize>),
    Members(std::vec::IntoIter<Member>),
}

/// A member of an object: its name, and the place it is found from.
type Member = (SmallVec<[u8; 24]>, Place);

impl<'a> Encoder<'a, '_> {
    /// Writes what comes next of the innermost table, or its end; false when all is written.
    fn step(&mut self) -> Result<bool, Complaint> {
        let depth = self.open.len();
        let Some(open) = self.open.last_mut() else { return Ok(false) };
        open.table.go_back(open.height);
        let comma: &[u8] = if std::mem::take(&mut open.is_first) { b"" } else { b"," };
        let value = match &mut open.rest {
            Rest::Items(indices) => match indices.next() {
                Some(index) => {
                    self.out.extend_from_slice(comma);
                    open.table.open_item(index).ok_or_else(|| too_deep(depth + 1))?
                }
                None => return Ok(self.end(b']')),
            },
            Rest::Members(members) => match members.next() {
                Some((name, place)) => {
                    self.out.extend_from_slice(comma);
                    put_string(self.out, &name);
                    self.out.push(b':');
                    open.table.open(place).ok_or_else(|| too_deep(depth + 1))?.1
                }
                None => return Ok(self.end(b'}')),
            },
        };
        self.value(value)?;
        Ok(true)
    }

    fn end(&mut self, bracket: u8) -> bool {
        self.out.push(bracket);
        self.open.pop();
        true
    }

    /// Writes a value; of a table what it begins with.
    fn value(&mut self, value: Value<'a>) -> Result<(), Complaint> {
        match value {
            // A light userdata, which scripts know as `cjson.null`.
            Value::Nil | Value::Other(Kind::Other) => self.out.extend_from_slice(b"null"),
            Value::Bool(truth) => {
                self.out.extend_from_slice(if truth { b"true" } else { b"false" });
            }
            Value::Integer(integer) => json_text::put_integer(self.out, integer),
            Value::Number(number) => self.number(number)?,
            Value::Text(text) => put_string(self.out, text),
            Value::Table(table) => self.begin(table)?,
            other => return Err(unfit(other.kind(), "type not supported")),
        }
        Ok(())
    }

    fn number(&mut self, number: f64) -> Result<(), Complaint> {
        let text: &[u8] = match self.style.writes_invalid {
            _ if number.is_finite() => {
                decimal::write_general(self.out, number, self.style.digits);
                return Ok(());
            }
            Invalid::Refused => return Err(unfit(Kind::Number, "must not be NaN or Inf")),
            Invalid::Null => b"null",
            Invalid::Written if number.is_nan() => b"NaN",
            Invalid::Written if number > 0.0 => b"Infinity",
            Invalid::Written => b"-Infinity",
        };
        self.out.extend_from_slice(text);
        Ok(())
    }

    fn begin(&mut self, table: Table<'a>) -> Result<(), Complaint> {
        let depth = self.open.len() + 1;
        if depth > self.style.encode_depth || !table.has_room() {
            return Err(too_deep(depth));
        }
        let height = table.height();
        let rest = if let Some(length) = self.array_length(table)? {
            self.out.push(b'[');
            Rest::Items(1..=length)
        } else {
            self.out.push(b'{');
            Rest::Members(self.members(table)?.into_iter())
        };
        self.open.push(Open { table, height, rest, is_first: true });
        Ok(())
    }

    /// The length of a table that is an array; `None` for any other, and for one with nothing in it.
    fn array_length(&self, table: Table<'_>) -> Result<Option<usize>, Complaint> {
        let (mut count, mut largest) = (0_usize, 0_usize);
        let is_array = table.each(|key, _| match key {
            Value::Number(number) if number >= 1.0 && number.fract() == 0.0 && number < 2e9 => {
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the number was found to fit"
                )]
                let index = number as usize;
                largest = largest.max(index);
                count += 1;
                Ok(())
            }
            _ => Err(()),
        });
        if is_array.is_err() || count == 0 {
            return Ok(None);
        }
        let Style { sparse_ratio, sparse_safe, .. } = self.style;
        if sparse_ratio > 0 && largest > count.saturating_mul(sparse_ratio) && largest > sparse_safe
        {
            if self.style.converts_sparse {
                return Ok(None);
            }
            return Err(unfit(Kind::Table, "excessively sparse array"));
        }
        Ok(Some(largest))
    }

    /// The members of an object, in the order of their names.
    fn members(&self, table: Table<'_>) -> Result<Vec<Member>, Complaint> {
        let mut members = Vec::new();
        let mut place = Place::START;
        while let Some((key, next)) = table.visit(place, |key, _| key) {
            let mut name = SmallVec::new();
            match key {
                Value::Text(text) => name.extend_from_slice(text),
                Value::Number(number) => {
                    let mut text = Vec::new();
                    decimal::write_general(&mut text, number, self.style.digits);
                    name.extend_from_slice(&text);
                }
                other => {
                    return Err(unfit(other.kind(), "table key must be a number or string"));
                }
            }
            members.push((name, place));
            place = next;
        }
        members.sort_unstable_by(|a: &Member, b| a.0.cmp(&b.0));
        Ok(members)
    }
}

fn unfit(kind: Kind, why: &str) -> Complaint {
    format!("Cannot serialise {}: {why}", kind.name()).into()
}

fn too_deep(depth: usize) -> Complaint {
    format!("Cannot serialise, excessive nesting ({depth})").into()
}

/// Appends a string as lua-cjson does: slashes and the byte 127 are escaped, and bytes that are no UTF-8
/// stay as they are.
fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    let is_plain = |byte: u8| byte >= b' ' && !matches!(byte, b'"' | b'\\' | b'/' | 127);
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(plain) = rest.iter().position(|byte| !is_plain(*byte)) {
        let (done, special) = rest.split_at(plain);
        out.extend_from_slice(done);
        match special[0] {
            byte @ (b'"' | b'\\' | b'/') => out.extend_from_slice(&[b'\\', byte]),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &special[1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
