//! Names of parts of a message: `Type`, `Fields[status]`, `Fields[x][1][0]`.

/// What part of a message a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Raw,
    Framed,
    Size,
    Uuid,
    Timestamp,
    Type,
    Logger,
    Severity,
    Payload,
    EnvVersion,
    Pid,
    Hostname,
    /// The table of all fields, as `msg.Fields`.
    Fields,
    /// One field.
    Field,
}

/// A name taken apart; the name of the field is a stretch of the text it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) part: Part,
    name_length: u32,
    /// Which of the fields with this name.
    pub(super) field: u32,
    /// Which of its values.
    pub(super) value: u32,
}

const PREFIX: &[u8] = b"Fields[";

impl Selector {
    /// The name of the field, in the text that was parsed.
    pub(super) fn name<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let end = PREFIX.len() + self.name_length as usize;
        text.get(PREFIX.len()..end).unwrap_or_default()
    }
}

/// Takes a name apart; `None` when it names nothing.
pub(super) fn parse(text: &[u8]) -> Option<Selector> {
    let part = match text {
        b"raw" => Part::Raw,
        b"framed" => Part::Framed,
        b"size" => Part::Size,
        b"Uuid" => Part::Uuid,
        b"Timestamp" => Part::Timestamp,
        b"Type" => Part::Type,
        b"Logger" => Part::Logger,
        b"Severity" => Part::Severity,
        b"Payload" => Part::Payload,
        b"EnvVersion" => Part::EnvVersion,
        b"Pid" => Part::Pid,
        b"Hostname" => Part::Hostname,
        b"Fields" => Part::Fields,
        _ => return parse_field(text),
    };
    Some(Selector { part, name_length: 0, field: 0, value: 0 })
}

fn parse_field(text: &[u8]) -> Option<Selector> {
    let rest = text.strip_prefix(PREFIX)?;
    let length = memchr::memchr(b']', rest)?;
    let (field, rest) = index(&rest[length + 1..])?;
    let (value, rest) = index(rest)?;
    let name_length = u32::try_from(length).ok()?;
    rest.is_empty().then_some(Selector { part: Part::Field, name_length, field, value })
}

/// Reads `[12]`; nothing at all is 0.
fn index(text: &[u8]) -> Option<(u32, &[u8])> {
    if text.is_empty() {
        return Some((0, text));
    }
    let rest = text.strip_prefix(b"[")?;
    let length = memchr::memchr(b']', rest)?;
    let digits = std::str::from_utf8(&rest[..length]).ok()?;
    Some((digits.parse().ok()?, &rest[length + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(Part, &str, u32, u32)>) {
        let found = parse(text.as_bytes());
        let found = found.map(|selector| {
            let name = std::str::from_utf8(selector.name(text.as_bytes())).unwrap();
            (selector.part, name, selector.field, selector.value)
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn names_are_taken_apart() {
        check("Type", Some((Part::Type, "", 0, 0)));
        check("Fields[status]", Some((Part::Field, "status", 0, 0)));
        check("Fields[x][1]", Some((Part::Field, "x", 1, 0)));
        check("Fields[a b][1][20]", Some((Part::Field, "a b", 1, 20)));
        check("Fields[]", Some((Part::Field, "", 0, 0)));
        for wrong in ["type", "Fields[x", "Fields[x]y", "Fields[x][-1]", "Fields[x][1][2][3]", ""] {
            check(wrong, None);
        }
    }
}
