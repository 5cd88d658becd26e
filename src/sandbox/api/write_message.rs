//! `write_message`: changes a decoder's record, or an encoder's copy of the message.

use super::read_message::ARRAY_INDEX;
use super::read_message::FIELD_INDEX;
use super::read_message::index;
use crate::message::ArrayBuilder;
use crate::message::Draft;
use crate::message::Value as FieldValue;
use crate::message::parse_uuid;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Value;
use crate::sandbox::selector::Part;
use crate::sandbox::time;

/// `write_message(name, value[, representation[, field_index[, array_index]]])`; nil takes away.
pub(super) fn write_message<'a>(
    cx: &'a mut Context,
    args: Args<'a>,
) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("write_message", args);
    let Some((text, selector)) = args.selector(1) else {
        return Err(call.wrong(1, "string"));
    };
    let Some(selector) = selector else {
        return Err(
            format!("write_message() unknown name: {}", String::from_utf8_lossy(text)).into()
        );
    };
    let zone = cx.setting.zone;
    let value = args.value(2);
    let limit = cx.setting.limits.output;
    if let Value::Text(text) = value
        && text.len() > limit
    {
        return Err("output_limit exceeded".into());
    }
    let Some(draft) = cx.writable() else {
        return Err("write_message() has no message to write to".into());
    };
    match selector.part {
        Part::Field => {
            let slot = Slot {
                name: selector.name(text),
                representation: (!call.is_absent(3)).then(|| call.text(3)).transpose()?,
                field: index(&call, 4, FIELD_INDEX)?.unwrap_or(selector.field) as usize,
                value: index(&call, 5, ARRAY_INDEX)?
                    .or((selector.value > 0).then_some(selector.value)),
            };
            let printed;
            let value = match value {
                Value::Object(object) => {
                    printed = print(object)?;
                    Value::Text(&printed)
                }
                value => value,
            };
            slot.write(draft, value)?;
            if draft.encoded_fields().len() > limit {
                return Err("output_limit exceeded".into());
            }
        }
        Part::Timestamp => draft.timestamp = timestamp(value)?.map(|ns| time::shift(zone, ns)),
        Part::Severity => draft.severity = whole(value)?,
        Part::Pid => draft.pid = whole(value)?,
        Part::Uuid => draft.uuid = uuid(value)?,
        Part::Type => header(&mut draft.message_type, value)?,
        Part::Logger => header(&mut draft.logger, value)?,
        Part::Payload => header(&mut draft.payload, value)?,
        Part::EnvVersion => header(&mut draft.env_version, value)?,
        Part::Hostname => header(&mut draft.hostname, value)?,
        Part::Raw | Part::Framed | Part::Size | Part::Fields => {
            let name = String::from_utf8_lossy(text);
            return Err(format!("write_message() cannot write {name}").into());
        }
    }
    Ok(Answer::Nothing)
}

fn print(
    object: &std::cell::RefCell<Box<dyn crate::sandbox::raw::Object>>,
) -> Result<Vec<u8>, Complaint> {
    let mut text = Vec::new();
    if object.try_borrow_mut().is_ok_and(|mut object| object.print(&mut text)) {
        return Ok(text);
    }
    Err("write_message() cannot write this userdata".into())
}

fn header(target: &mut Option<Vec<u8>>, value: Value<'_>) -> Result<(), Complaint> {
    match value {
        Value::Nil => *target = None,
        Value::Text(text) => {
            let buffer = target.get_or_insert_default();
            buffer.clear();
            buffer.extend_from_slice(text);
        }
        Value::Number(number) => {
            let buffer = target.get_or_insert_default();
            buffer.clear();
            crate::stdx::decimal::write(buffer, number);
        }
        Value::Integer(integer) => {
            *target = Some(itoa::Buffer::new().format(integer).as_bytes().to_vec());
        }
        _ => return Err("write_message() takes a string for this header".into()),
    }
    Ok(())
}

#[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
fn timestamp(value: Value<'_>) -> Result<Option<i64>, Complaint> {
    match value {
        Value::Nil => Ok(None),
        Value::Number(number) => Ok(Some(number as i64)),
        Value::Integer(integer) => Ok(Some(integer)),
        Value::Text(text) => match time::parse(text) {
            Some(ns) => Ok(Some(ns)),
            None => Err("write_message() cannot read the Timestamp".into()),
        },
        _ => Err("write_message() takes a number or text for Timestamp".into()),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
fn whole(value: Value<'_>) -> Result<Option<i32>, Complaint> {
    match value {
        Value::Nil => Ok(None),
        Value::Number(number) => Ok(Some(number as i32)),
        Value::Integer(integer) => Ok(Some((integer as f64) as i32)),
        Value::Text(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .map(Some)
            .ok_or_else(|| "write_message() takes a whole number for this header".into()),
        _ => Err("write_message() takes a whole number for this header".into()),
    }
}

fn uuid(value: Value<'_>) -> Result<Option<[u8; 16]>, Complaint> {
    match value {
        Value::Nil => Ok(None),
        Value::Text(text) => <[u8; 16]>::try_from(text)
            .ok()
            .or_else(|| parse_uuid(text))
            .map(Some)
            .ok_or_else(|| "write_message() takes 16 bytes or the text of a Uuid".into()),
        _ => Err("write_message() takes a string for Uuid".into()),
    }
}

/// The place of a value among the fields.
struct Slot<'a> {
    name: &'a [u8],
    /// As it is when left out.
    representation: Option<&'a [u8]>,
    field: usize,
    /// One value of the field; the whole field when left out.
    value: Option<u32>,
}

impl Slot<'_> {
    fn write(&self, draft: &mut Draft, value: Value<'_>) -> Result<(), Complaint> {
        let value = match value {
            Value::Nil => None,
            Value::Bool(truth) => Some(FieldValue::Bool(truth)),
            Value::Number(number) => Some(FieldValue::Double(number)),
            Value::Integer(integer) => Some(FieldValue::Integer(integer)),
            Value::Text(text) => Some(FieldValue::String(text)),
            other => {
                let kind = other.kind().name();
                return Err(format!("write_message() unsupported type: {kind}").into());
            }
        };
        let count = draft.fields().filter(|field| field.name() == self.name).count();
        if self.field > count {
            return Err(
                format!("write_message() field index {} is past the end", self.field).into()
            );
        }
        let mut values = ArrayBuilder::default();
        let mut representation = self.representation.unwrap_or_default().to_vec();
        if let Some(field) = draft.field(self.name, self.field) {
            if self.representation.is_none() {
                representation = field.representation().to_vec();
            }
            if let Some(at) = self.value {
                change(&mut values, &field, at as usize, value)?;
            } else if let Some(value) = value {
                values.push(value);
            }
        } else {
            match (value, self.value) {
                (None, _) => return Ok(()),
                (Some(value), None | Some(0)) => drop(values.push(value)),
                _ => return Err("write_message() array index is past the end".into()),
            }
        }
        if values.value_type().is_none() {
            draft.remove(self.name, self.field);
        } else {
            draft.set_array(self.name, self.field, &representation, &values);
        }
        Ok(())
    }
}

/// Writes the values of `field` with the one at `at` replaced, taken away or added.
fn change(
    values: &mut ArrayBuilder,
    field: &crate::message::Field<'_>,
    at: usize,
    value: Option<FieldValue<'_>>,
) -> Result<(), Complaint> {
    let mut count = 0;
    for (index, old) in field.values().enumerate() {
        count += 1;
        let kept = if index == at { value } else { Some(old) };
        if let Some(kept) = kept
            && !values.push(kept)
        {
            return Err("write_message() array has mixed types".into());
        }
    }
    match value {
        Some(value) if at == count && values.push(value) => {}
        Some(_) if at == count => return Err("write_message() array has mixed types".into()),
        _ if at >= count => return Err("write_message() array index is past the end".into()),
        _ => {}
    }
    Ok(())
}
