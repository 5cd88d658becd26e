//! Values as the types of CQL want them.
//!
//! | type | bytes |
//! | --- | --- |
//! | `text`, `ascii`, `blob` | as they are |
//! | `bigint`, `int`, `smallint`, `tinyint`, `counter` | 8, 4, 2, 1, 8, the highest first |
//! | `double`, `float` | 8, 4 of IEEE 754 |
//! | `boolean` | one, 0 or 1 |
//! | `timestamp` | 8: milliseconds since the epoch |
//! | `date` | 4: days, the epoch being 2³¹ |
//! | `uuid`, `timeuuid` | 16 |
//! | `inet` | 4 or 16 |
//! | lists, sets | 4 for how many, then 4 and the value for each; maps keys and values in turn |

use std::net::IpAddr;

use anyhow::anyhow;
use anyhow::bail;
use anyhow::ensure;
use chrono::NaiveDate;
use scylla::cluster::metadata::CollectionType;
use scylla::cluster::metadata::ColumnType;
use scylla::cluster::metadata::NativeType;

use crate::message::Field;
use crate::message::Message;
use crate::message::Value;
use crate::message::parse_uuid;
use crate::message::uuid_text;

const MILLISECOND: i64 = 1_000_000;
const DAY: i64 = 86_400_000_000_000;

/// What a column gets.
#[derive(Clone, Debug)]
pub(super) enum Datum<'a> {
    /// A value and its unit.
    One(Value<'a>, &'a [u8]),
    /// Nanoseconds since the epoch.
    Time(i64),
    Uuid([u8; 16]),
    /// Text that was put together.
    Made(Vec<u8>),
    Field(Field<'a>),
    /// The fields of a message as texts; all, or those that are texts.
    Map(Message<'a>, bool),
}

impl Datum<'_> {
    /// Appends it as a column of this type wants it.
    ///
    /// # Errors
    /// When such a column cannot have it.
    pub(super) fn put(&self, kind: &ColumnType<'_>, out: &mut Vec<u8>) -> anyhow::Result<()> {
        match (self, kind) {
            (Datum::One(value, unit), ColumnType::Native(kind)) => put(*value, unit, kind, out),
            (Datum::Made(text), ColumnType::Native(kind)) => {
                put(Value::String(text), b"", kind, out)
            }
            (Datum::Field(field), ColumnType::Native(kind)) => {
                let value = field.value(0).ok_or_else(|| anyhow!("the field has no value"))?;
                put(value, field.representation(), kind, out)
            }
            (Datum::Time(time), ColumnType::Native(kind)) => put_time(*time, kind, out),
            (Datum::Uuid(uuid), ColumnType::Native(NativeType::Uuid | NativeType::Blob)) => {
                out.extend_from_slice(uuid);
                Ok(())
            }
            (Datum::Uuid(id), ColumnType::Native(kind)) => {
                let text = uuid_text(id).ok_or_else(|| anyhow!("no uuid"))?;
                put(Value::String(&text), b"", kind, out)
            }
            (Datum::Field(field), ColumnType::Collection { typ, .. }) => match typ {
                CollectionType::List(kind) | CollectionType::Set(kind) => put_all(field, kind, out),
                _ => bail!("a field is no map; `%{{Fields}}` is"),
            },
            (Datum::Map(message, texts_only), ColumnType::Collection { typ, .. }) => match typ {
                CollectionType::Map(key, value) if is_text(key) && is_text(value) => {
                    put_map(message, *texts_only, out);
                    Ok(())
                }
                _ => bail!("the fields of a message are a `map<text, text>`"),
            },
            _ => bail!("heka has nothing for columns of the type {kind:?}"),
        }
    }
}

fn is_text(kind: &ColumnType<'_>) -> bool {
    matches!(kind, ColumnType::Native(NativeType::Text))
}

fn put_time(time: i64, kind: &NativeType, out: &mut Vec<u8>) -> anyhow::Result<()> {
    match kind {
        NativeType::Timestamp => {
            out.extend_from_slice(&time.div_euclid(MILLISECOND).to_be_bytes());
        }
        NativeType::Date => {
            let day = time.div_euclid(DAY) + (1 << 31);
            out.extend_from_slice(&u32::try_from(day)?.to_be_bytes());
        }
        _ => return put(Value::Integer(time), b"ns", kind, out),
    }
    Ok(())
}

/// Appends a value of a field with this unit.
fn put(value: Value<'_>, unit: &[u8], kind: &NativeType, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let wrong = || anyhow!("{} is no {}", shown(&value), name(kind));
    match kind {
        NativeType::Text | NativeType::Ascii => put_text(&value, out),
        NativeType::Blob => match value {
            Value::String(bytes) | Value::Bytes(bytes) => out.extend_from_slice(bytes),
            _ => return Err(wrong()),
        },
        NativeType::BigInt | NativeType::Counter => {
            out.extend_from_slice(&whole(&value).ok_or_else(wrong)?.to_be_bytes());
        }
        NativeType::Int => {
            let number = whole(&value).and_then(|it| i32::try_from(it).ok());
            out.extend_from_slice(&number.ok_or_else(wrong)?.to_be_bytes());
        }
        NativeType::SmallInt => {
            let number = whole(&value).and_then(|it| i16::try_from(it).ok());
            out.extend_from_slice(&number.ok_or_else(wrong)?.to_be_bytes());
        }
        NativeType::TinyInt => {
            let number = whole(&value).and_then(|it| i8::try_from(it).ok());
            out.extend_from_slice(&number.ok_or_else(wrong)?.to_be_bytes());
        }
        NativeType::Double => {
            out.extend_from_slice(&real(&value).ok_or_else(wrong)?.to_be_bytes());
        }
        NativeType::Float => {
            #[expect(clippy::cast_possible_truncation, reason = "the column asks for it")]
            let number = real(&value).ok_or_else(wrong)? as f32;
            out.extend_from_slice(&number.to_be_bytes());
        }
        NativeType::Boolean => out.push(u8::from(truth(&value).ok_or_else(wrong)?)),
        NativeType::Timestamp | NativeType::Date => {
            put_time(moment(&value, unit).ok_or_else(wrong)?, kind, out)?;
        }
        NativeType::Uuid | NativeType::Timeuuid => {
            let bytes = value.as_bytes().ok_or_else(wrong)?;
            let uuid = <[u8; 16]>::try_from(bytes).ok().or_else(|| parse_uuid(bytes));
            out.extend_from_slice(&uuid.ok_or_else(wrong)?);
        }
        NativeType::Inet => match text(&value).and_then(|it| it.trim().parse().ok()) {
            Some(IpAddr::V4(address)) => out.extend_from_slice(&address.octets()),
            Some(IpAddr::V6(address)) => out.extend_from_slice(&address.octets()),
            None => return Err(wrong()),
        },
        _ => bail!("heka has nothing for columns of the type {}", name(kind)),
    }
    Ok(())
}

fn put_text(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::String(bytes) | Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => out.extend_from_slice(text.as_bytes()),
            Err(_) => out.extend_from_slice(String::from_utf8_lossy(bytes).as_bytes()),
        },
        Value::Integer(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
        }
        Value::Double(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Bool(truth) => out.extend_from_slice(truth.to_string().as_bytes()),
    }
}

fn put_all(field: &Field<'_>, kind: &ColumnType<'_>, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut count = 0_i32;
    for value in field.values() {
        put_sized(out, |out| Datum::One(value, field.representation()).put(kind, out))?;
        count += 1;
    }
    out[start..start + 4].copy_from_slice(&count.to_be_bytes());
    Ok(())
}

fn put_map(message: &Message<'_>, texts_only: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut count = 0_i32;
    for field in message.fields() {
        let Some(value) = field.value(0) else { continue };
        if texts_only && !matches!(value, Value::String(_)) {
            continue;
        }
        for part in [Value::String(field.name()), value] {
            let put = put_sized(out, |out| {
                put_text(&part, out);
                Ok(())
            });
            put.expect("a text is smaller than 2 GiB");
        }
        count += 1;
    }
    out[start..start + 4].copy_from_slice(&count.to_be_bytes());
}

/// Appends what `put` appends, with its length before it.
fn put_sized(
    out: &mut Vec<u8>,
    put: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    put(out)?;
    let length = i32::try_from(out.len() - start - 4)?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn text<'a>(value: &Value<'a>) -> Option<&'a str> {
    std::str::from_utf8(value.as_bytes()?).ok()
}

fn whole(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and in range")]
        Value::Double(number) if number.fract() == 0.0 && number.abs() < 9e18 => {
            Some(*number as i64)
        }
        Value::Bool(truth) => Some(i64::from(*truth)),
        value => text(value)?.trim().parse().ok(),
    }
}

fn real(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        value => text(value)?.trim().parse().ok(),
    }
}

fn truth(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Integer(number @ 0..=1) => Some(*number == 1),
        value => text(value)?.trim().parse().ok(),
    }
}

/// Nanoseconds since the epoch: a number counts in its unit, milliseconds where it has none, as CQL has
/// it; a text is a time as in RFC 3339, or a day.
fn moment(value: &Value<'_>, unit: &[u8]) -> Option<i64> {
    if let Some(text) = text(value) {
        let day = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok();
        let midnight = day.and_then(|day| day.and_hms_opt(0, 0, 0));
        if let Some(midnight) = midnight {
            return midnight.and_utc().timestamp_nanos_opt();
        }
        return chrono::DateTime::parse_from_rfc3339(text.trim()).ok()?.timestamp_nanos_opt();
    }
    let factor = match unit {
        b"ns" => 1,
        b"us" => 1000,
        b"s" => 1_000_000_000,
        _ => MILLISECOND,
    };
    match value {
        Value::Double(number) if unit == b"s" => {
            #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
            let nanoseconds = (number * 1e9) as i64;
            Some(nanoseconds)
        }
        value => whole(value)?.checked_mul(factor),
    }
}

fn shown(value: &Value<'_>) -> String {
    let mut bytes = Vec::new();
    put_text(value, &mut bytes);
    let text: String = String::from_utf8_lossy(&bytes).chars().take(60).collect();
    format!("`{text}`")
}

fn name(kind: &NativeType) -> String {
    format!("{kind:?}").to_lowercase()
}

/// Reads the time at which a row counts as written: the time of its message, in microseconds.
///
/// # Errors
/// When the message has none that Cassandra could have.
pub(super) fn write_time(message: &Message<'_>) -> anyhow::Result<i64> {
    let time = message.timestamp();
    ensure!(time > 0, "the message has no Timestamp, which decides which row is the later one");
    Ok(time / 1000)
}
