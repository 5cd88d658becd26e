//! A variable of a log format: its field, and how its value is found.

use super::Error;
use super::address;
use super::address::Sort;
use crate::formats::time::TimeFormat;
use crate::message::ArrayBuilder;
use crate::message::FieldStart;
use crate::message::Value;
use crate::message::ValueType;

/// How the value of a variable is found and what it becomes.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Text up to what follows.
    Text,
    /// As text; its representation says whether it is an address or a name.
    Address,
    /// As text; how a browser names itself.
    UserAgent,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Double,
    /// Several values, one for each server that was asked.
    List(Element),
    /// The time of the message.
    Time(Time),
}

/// What a list is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Text,
    Integer,
    Double,
}

/// How a time is written.
#[derive(Clone, Debug)]
pub(super) enum Time {
    /// `22/Nov/2026:12:51:54 +0100`.
    Clf,
    /// RFC 3339.
    Iso,
    /// A pattern, which may be one piece of several.
    Piece(TimeFormat),
    /// A pattern whose moment is another than that of the message.
    Passed(TimeFormat),
}

/// A variable, and the text that follows it.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    /// What stands before its value in a message; see [`Variable::new`].
    pub(super) head: FieldStart,
    /// As that, by the representation of an address.
    pub(super) address_heads: Option<Box<AddressHeads>>,
    /// What stands in the format, for errors: `$status`.
    pub(super) written: String,
    /// Where it stands in the format, counted from one.
    pub(super) column: usize,
    /// The name of the field.
    pub(super) field: String,
    /// The unit or form of the field.
    pub(super) representation: &'static str,
    pub(super) kind: Kind,
    /// What follows.
    pub(super) behind: Vec<u8>,
}

/// The heads of a field that is an address or a name.
#[derive(Clone, Debug)]
pub(super) struct AddressHeads {
    pub(super) ipv4: FieldStart,
    pub(super) ipv6: FieldStart,
    pub(super) hostname: FieldStart,
}

impl Variable {
    /// A variable that stands at `column`, and that nothing follows yet.
    pub(super) fn new(
        written: String,
        column: usize,
        field: String,
        kind: Kind,
        representation: &'static str,
    ) -> Variable {
        let value_type = match kind {
            Kind::Integer => ValueType::Integer,
            Kind::Double => ValueType::Double,
            _ => ValueType::String,
        };
        let address = |representation| FieldStart::new(&field, representation, ValueType::String);
        let address_heads = matches!(kind, Kind::Address).then(|| {
            let (ipv4, ipv6) = (address("ipv4"), address("ipv6"));
            Box::new(AddressHeads { ipv4, ipv6, hostname: address("hostname") })
        });
        Variable {
            head: FieldStart::new(&field, representation, value_type),
            address_heads,
            written,
            column,
            field,
            representation,
            kind,
            behind: Vec::new(),
        }
    }

    /// What stands before the text of an address.
    pub(super) fn head_of(&self, text: &[u8]) -> &FieldStart {
        let Some(heads) = &self.address_heads else { return &self.head };
        match address::sort(text) {
            Some(Sort::Ipv4) => &heads.ipv4,
            Some(Sort::Ipv6) => &heads.ipv6,
            Some(Sort::Hostname) => &heads.hostname,
            None => &self.head,
        }
    }

    /// What is expected in its place, in words.
    pub(super) fn expected(&self) -> String {
        let what = match &self.kind {
            Kind::Integer => "a whole number",
            Kind::Double => "a number",
            Kind::Time(Time::Clf) => "a time as in 22/Nov/2026:12:51:54 +0100",
            Kind::Time(Time::Iso) => "a time as in 2026-11-22T12:51:54+01:00",
            Kind::Time(_) => "a time",
            Kind::Text | Kind::Address | Kind::UserAgent | Kind::List(_) => "text",
        };
        format!("{what} for {}", self.written)
    }

    /// Tells whether its value ends by itself.
    fn ends_itself(&self) -> bool {
        matches!(self.kind, Kind::Integer | Kind::Double | Kind::Time(_))
    }
}

/// Checks that every text can be told from what follows it.
pub(super) fn check(variables: &[Variable]) -> Result<(), Error> {
    for pair in variables.windows(2) {
        let [first, second] = pair else { continue };
        if first.behind.is_empty() && !first.ends_itself() {
            return Err(Error::At {
                column: second.column,
                reason: format!(
                    "{} follows {} with no text between, so nobody can tell where one ends",
                    second.written, first.written
                ),
            });
        }
    }
    Ok(())
}

impl Element {
    /// Reads what nginx writes of several servers: commas between the servers of a group, colons
    /// between groups. Numbers that are `-` are left out.
    pub(super) fn read_list(self, text: &[u8], out: &mut ArrayBuilder) {
        out.clear();
        let mut rest = text;
        loop {
            let comma = memchr::memmem::find(rest, b", ").map(|at| (at, 2));
            let colon = memchr::memmem::find(rest, b" : ").map(|at| (at, 3));
            let next = [comma, colon].into_iter().flatten().min();
            let (at, width) = next.unwrap_or((rest.len(), 0));
            self.push(&rest[..at], out);
            if width == 0 {
                return;
            }
            rest = &rest[at + width..];
        }
    }

    fn push(self, text: &[u8], out: &mut ArrayBuilder) {
        let number = std::str::from_utf8(text).unwrap_or_default();
        match self {
            Element::Text => {
                out.push(Value::String(text));
            }
            Element::Integer => {
                if let Ok(value) = number.parse() {
                    out.push(Value::Integer(value));
                }
            }
            Element::Double => {
                if let Ok(value) = number.parse() {
                    out.push(Value::Double(value));
                }
            }
        }
    }
}
