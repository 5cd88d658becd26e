//! Messages as tables of a spec, and what is the same.

use mlua::Lua;
use mlua::Table;

use super::raised;
use crate::message::ArrayBuilder;
use crate::message::Batch;
use crate::message::Draft;
use crate::message::Message;
use crate::message::Value;
use crate::message::parse_uuid;
use crate::sandbox::ConfigValue;

/// `value_type` of integers.
const INTEGER: i64 = 2;
/// `value_type` of bytes.
const BYTES: i64 = 1;
/// How deep tables may stand in each other.
const MAX_DEPTH: usize = 32;

/// Below this a whole number is written without a point.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Raises unless the two are the same; says where they differ first.
pub(super) fn equal(_: &Lua, (found, expected): (mlua::Value, mlua::Value)) -> mlua::Result<()> {
    let (found, expected) = (json(&found, 0)?, json(&expected, 0)?);
    let Some(place) = difference(&found, &expected) else { return Ok(()) };
    let at = if place.is_empty() { String::new() } else { format!("\nthey differ at {place}") };
    Err(raised(format!("found    {found}\nexpected {expected}{at}")))
}

/// Where two values differ first, from the outside in; `None` where they do not.
fn difference(found: &serde_json::Value, expected: &serde_json::Value) -> Option<String> {
    use serde_json::Value::Array;
    use serde_json::Value::Object;
    match (found, expected) {
        (Object(found), Object(expected)) => {
            let nothing = serde_json::Value::Null;
            found.keys().chain(expected.keys()).find_map(|name| {
                let of = |of: &serde_json::Map<_, _>| of.get(name).unwrap_or(&nothing).clone();
                let place = difference(&of(found), &of(expected))?;
                Some(format!(".{name}{place}"))
            })
        }
        (Array(found), Array(expected)) => {
            let pairs = found.iter().zip(expected);
            let place = (1..).zip(pairs).find_map(|(number, (found, expected))| {
                Some(format!("[{number}]{}", difference(found, expected)?))
            });
            place.or_else(|| {
                let common = found.len().min(expected.len());
                (found.len() != expected.len()).then(|| format!("[{}]", common + 1))
            })
        }
        _ => (found != expected).then(String::new),
    }
}

/// A value of Lua as JSON; all numbers are alike, and a table with a first element is an array.
pub(super) fn json(value: &mlua::Value, depth: usize) -> mlua::Result<serde_json::Value> {
    if depth > MAX_DEPTH {
        return Err(raised("tables stand too deep in each other"));
    }
    Ok(match value {
        mlua::Value::Nil => serde_json::Value::Null,
        mlua::Value::Boolean(truth) => (*truth).into(),
        mlua::Value::String(text) => text.to_string_lossy().into(),
        mlua::Value::Table(table) if table.raw_len() > 0 => {
            let items: Vec<mlua::Value> = table.sequence_values().collect::<mlua::Result<_>>()?;
            items.iter().map(|item| json(item, depth + 1)).collect::<mlua::Result<_>>()?
        }
        mlua::Value::Table(table) => {
            let pairs = table.pairs::<String, mlua::Value>();
            let members = pairs
                .map(|pair| pair.and_then(|(name, value)| Ok((name, json(&value, depth + 1)?))));
            serde_json::Value::Object(members.collect::<mlua::Result<_>>()?)
        }
        mlua::Value::Number(_) | mlua::Value::Integer(_) => match number(value) {
            #[allow(clippy::cast_possible_truncation, reason = "the number was found to fit")]
            whole if whole.fract() == 0.0 && whole.abs() < EXACT => (whole as i64).into(),
            other => other.into(),
        },
        other => other.type_name().into(),
    })
}

fn number(value: &mlua::Value) -> f64 {
    match value {
        mlua::Value::Number(number) => *number,
        mlua::Value::Integer(number) => *number as f64,
        _ => f64::NAN,
    }
}

/// A value for `read_config`; none for what it cannot have.
pub(super) fn setting(value: &serde_json::Value) -> Option<ConfigValue> {
    Some(match value {
        serde_json::Value::Number(number) if number.as_f64().is_some_and(|n| n.fract() == 0.0) =>
        {
            #[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
            ConfigValue::Integer(number.as_f64()? as i64)
        }
        serde_json::Value::Bool(truth) => ConfigValue::Bool(*truth),
        serde_json::Value::Number(number) => ConfigValue::Double(number.as_f64()?),
        serde_json::Value::String(text) => ConfigValue::String(text.clone()),
        serde_json::Value::Array(items) => {
            ConfigValue::Array(items.iter().filter_map(setting).collect())
        }
        serde_json::Value::Object(members) => ConfigValue::Table(
            members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), setting(value)?)))
                .collect(),
        ),
        serde_json::Value::Null => return None,
    })
}

/// The message that a table describes.
pub(super) fn draft(message: &Table) -> mlua::Result<Draft> {
    let text = |name: &str| message.get::<Option<mlua::LuaString>>(name);
    let bytes = |name: &str| text(name).map(|text| text.map(|text| text.as_bytes().to_vec()));
    let uuid = bytes("Uuid")?.and_then(|text| parse_uuid(&text));
    #[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
    let timestamp = message.get::<Option<f64>>("Timestamp")?.unwrap_or(0.0) as i64;
    let mut draft = Draft::default();
    draft.uuid = Some(uuid.unwrap_or([7; 16]));
    draft.timestamp = Some(timestamp);
    draft.message_type = bytes("Type")?;
    draft.logger = bytes("Logger")?;
    draft.hostname = bytes("Hostname")?;
    draft.payload = bytes("Payload")?;
    draft.env_version = bytes("EnvVersion")?;
    draft.severity = message.get("Severity")?;
    draft.pid = message.get("Pid")?;
    for pair in message.get::<Option<Table>>("Fields")?.iter().flat_map(Table::pairs) {
        let (name, value): (String, mlua::Value) = pair?;
        field(&mut draft, &name, &value)?;
    }
    Ok(draft)
}

/// Adds a field: a value, an array of values, or a table with `value`, `value_type` and
/// `representation`.
fn field(draft: &mut Draft, name: &str, value: &mlua::Value) -> mlua::Result<()> {
    let mut representation = Vec::new();
    let mut value_type = None;
    let mut value = value.clone();
    if let mlua::Value::Table(table) = &value
        && table.contains_key("value")?
    {
        let written = table.get::<Option<mlua::LuaString>>("representation")?;
        representation = written.map(|text| text.as_bytes().to_vec()).unwrap_or_default();
        value_type = table.get::<Option<i64>>("value_type")?;
        value = table.get("value")?;
    }
    let items = match &value {
        mlua::Value::Table(table) => table.sequence_values().collect::<mlua::Result<_>>()?,
        _ => vec![value],
    };
    let mut values = ArrayBuilder::default();
    for item in &items {
        match (item, value_type) {
            (mlua::Value::String(text), Some(BYTES)) => {
                values.push(Value::Bytes(&text.as_bytes()));
            }
            (mlua::Value::String(text), _) => {
                values.push(Value::String(&text.as_bytes()));
            }
            (mlua::Value::Boolean(truth), _) => {
                values.push(Value::Bool(*truth));
            }
            (mlua::Value::Number(_) | mlua::Value::Integer(_), Some(INTEGER)) => {
                #[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
                values.push(Value::Integer(number(item) as i64));
            }
            (mlua::Value::Number(_) | mlua::Value::Integer(_), _) => {
                values.push(Value::Double(number(item)));
            }
            (other, _) => {
                let kind = other.type_name();
                return Err(raised(format!("field {name}: {kind} is no value of a field")));
            }
        }
    }
    draft.push_array(name.as_bytes(), &representation, &values);
    Ok(())
}

/// The messages as an array of tables.
pub(super) fn table(lua: &Lua, batch: &Batch) -> mlua::Result<Table> {
    let messages: mlua::Result<Vec<_>> = batch.iter().map(|message| one(lua, &message)).collect();
    lua.create_sequence_from(messages?)
}

fn one(lua: &Lua, message: &Message<'_>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (name, bytes) in [
        ("Type", message.message_type()),
        ("Logger", message.logger()),
        ("Hostname", message.hostname()),
        ("Payload", message.payload()),
        ("EnvVersion", message.env_version()),
    ] {
        table.set(name, lua.create_string(bytes)?)?;
    }
    table.set("Timestamp", message.timestamp() as f64)?;
    table.set("Severity", message.severity())?;
    table.set("Pid", message.pid())?;
    let fields = lua.create_table()?;
    for field in message.fields() {
        let values = field
            .values()
            .map(|value| match value {
                Value::String(bytes) | Value::Bytes(bytes) => {
                    lua.create_string(bytes).map(mlua::Value::String)
                }
                Value::Integer(number) => Ok(mlua::Value::Number(number as f64)),
                Value::Double(number) => Ok(mlua::Value::Number(number)),
                Value::Bool(truth) => Ok(mlua::Value::Boolean(truth)),
            })
            .collect::<mlua::Result<Vec<_>>>()?;
        let name = lua.create_string(field.name())?;
        match &values[..] {
            [only] => fields.set(name, only.clone())?,
            _ => fields.set(name, values)?,
        }
    }
    table.set("Fields", fields)?;
    Ok(table)
}
