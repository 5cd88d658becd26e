//! Runs the specs of the scripts, each in front of the engine's own sandbox.
//!
//! A spec stands beside its script, as `name_spec.lua`, and has these words:
//!
//! | word | what it does |
//! | --- | --- |
//! | `describe(name, body)` | names what the tests in `body` are about |
//! | `it(name, body)` | a test |
//! | `sandbox(config)` | the script, started with these values for `read_config` |
//! | `filter(text, config)` | a filter of this text, for the specs of modules |
//! | `script:decode(message)` | the messages that it makes of one; raises when it fails |
//! | `script:encode(message)` | the text that it makes of one; nil when it makes none |
//! | `script:process(message)` | the messages that it injects |
//! | `script:timer(ns)` | the messages that `timer_event` injects |
//! | `evaluate(body)` | what the body of a function returns in a sandbox that has the modules of `lua/`, as the text of a JSON array |
//! | `equal(found, expected)` | raises when they differ |
//!
//! Messages are tables: header fields by name, `Fields` with a value or an array for each name.

use std::cell::RefCell;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use heka::message::ArrayBuilder;
use heka::message::Batch;
use heka::message::Draft;
use heka::message::Marks;
use heka::message::Message;
use heka::message::Value;
use heka::sandbox::ConfigValue;
use heka::sandbox::EntryTime;
use heka::sandbox::Role;
use heka::sandbox::Sandbox;
use heka::sandbox::Script;
use heka::sandbox::Spec;
use libtest_mimic::Arguments;
use libtest_mimic::Failed;
use libtest_mimic::Trial;
use mlua::Lua;
use mlua::Table;
use mlua::UserData;
use mlua::UserDataMethods;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for folder in ["sandboxes/decoders", "sandboxes/filters", "sandboxes/encoders", "lua"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let mut specs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        specs.retain(|path| path.to_string_lossy().ends_with("_spec.lua"));
        specs.sort();
        trials.extend(specs.into_iter().flat_map(tests_of));
    }
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

/// The tests in a spec; one that fails where the spec cannot be read.
fn tests_of(spec: PathBuf) -> Vec<Trial> {
    let name = spec.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match run(&spec, None) {
        Ok(names) => names
            .into_iter()
            .map(|test| {
                let spec = spec.clone();
                let wanted = test.clone();
                Trial::test(format!("{name}: {test}"), move || {
                    run(&spec, Some(wanted))
                        .map(drop)
                        .map_err(|error| Failed::from(error.to_string()))
                })
            })
            .collect(),
        Err(error) => {
            let error = error.to_string();
            vec![Trial::test(name, move || Err(Failed::from(error)))]
        }
    }
}

/// Runs the spec, and of its tests the one called `wanted`; returns the names of all.
fn run(spec: &Path, wanted: Option<String>) -> mlua::Result<Vec<String>> {
    let lua = Lua::new();
    let path = Rc::new(RefCell::new(Vec::<String>::new()));
    let names = Rc::new(RefCell::new(Vec::new()));
    let inner = path.clone();
    let describe = lua.create_function(move |_, (name, body): (String, mlua::Function)| {
        inner.borrow_mut().push(name);
        let result = body.call::<()>(());
        inner.borrow_mut().pop();
        result
    })?;
    let found = names.clone();
    let it = lua.create_function(move |_, (name, body): (String, mlua::Function)| {
        path.borrow_mut().push(name);
        let full = path.borrow().join(" ");
        path.borrow_mut().pop();
        found.borrow_mut().push(full.clone());
        if wanted.as_ref() == Some(&full) { body.call::<()>(()) } else { Ok(()) }
    })?;
    let script = spec.to_string_lossy().replace("_spec.lua", ".lua");
    let sandbox = lua.create_function(move |_, config: Option<Table>| {
        let text = std::fs::read_to_string(&script)?;
        Started::new(Path::new(&script), text, config)
    })?;
    let filter = lua.create_function(|_, (text, config): (String, Option<Table>)| {
        Started::new(Path::new("filter.lua"), text, config)
    })?;
    let evaluate = lua.create_function(|_, body: String| evaluated(&body))?;
    lua.globals().set("evaluate", evaluate)?;
    lua.globals().set("describe", describe)?;
    lua.globals().set("it", it)?;
    lua.globals().set("sandbox", sandbox)?;
    lua.globals().set("filter", filter)?;
    lua.globals().set("equal", lua.create_function(equal)?)?;
    let text = std::fs::read_to_string(spec)?;
    lua.load(text).set_name(format!("={}", spec.display())).exec()?;
    Ok(names.take())
}

/// What the body of a function returns in a sandbox, as the text of a JSON array.
fn evaluated(body: &str) -> mlua::Result<String> {
    let text = format!(
        "function process_message()
           inject_payload('json', '', cjson.encode({{(function() {body}\nend)()}}))
           return 0
         end"
    );
    let mut spec = Spec::new("spec", Role::Filter, Script { path: "body.lua".into(), text });
    spec.modules.folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("lua")];
    let mut started = Started { sandbox: Sandbox::load(&spec).map_err(raised)?, entries: 0 };
    let out = started.process(&Lua::new().create_table()?)?;
    let payload = out.iter().next().map(|message| message.payload().to_vec());
    Ok(String::from_utf8_lossy(&payload.unwrap_or_default()).into_owned())
}

fn equal(_: &Lua, (found, expected): (mlua::Value, mlua::Value)) -> mlua::Result<()> {
    let (found, expected) = (json(&found)?, json(&expected)?);
    if found == expected {
        return Ok(());
    }
    Err(mlua::Error::runtime(format!("found    {found}\nexpected {expected}")))
}

/// A value of Lua as JSON; all numbers are alike, and a table with a first element is an array.
fn json(value: &mlua::Value) -> mlua::Result<serde_json::Value> {
    Ok(match value {
        mlua::Value::Nil => serde_json::Value::Null,
        mlua::Value::Boolean(truth) => (*truth).into(),
        mlua::Value::String(text) => text.to_string_lossy().into(),
        mlua::Value::Table(table) if table.raw_len() > 0 => {
            let items: Vec<mlua::Value> = table.sequence_values().collect::<mlua::Result<_>>()?;
            items.iter().map(json).collect::<mlua::Result<_>>()?
        }
        mlua::Value::Table(table) => {
            let pairs = table.pairs::<String, mlua::Value>();
            let members =
                pairs.map(|pair| pair.and_then(|(name, value)| Ok((name, json(&value)?))));
            serde_json::Value::Object(members.collect::<mlua::Result<_>>()?)
        }
        other => number(other).into(),
    })
}

fn number(value: &mlua::Value) -> f64 {
    match value {
        mlua::Value::Number(number) => *number,
        mlua::Value::Integer(number) => *number as f64,
        _ => f64::NAN,
    }
}

/// A script that runs.
struct Started {
    sandbox: Sandbox,
    entries: u64,
}

impl Started {
    fn new(script: &Path, text: String, config: Option<Table>) -> mlua::Result<Started> {
        let role = match script.parent().and_then(Path::file_name).and_then(|name| name.to_str()) {
            Some("decoders") => Role::Decoder,
            Some("encoders") => Role::Encoder,
            _ => Role::Filter,
        };
        let script = Script { path: script.to_path_buf(), text };
        let mut spec = Spec::new("spec", role, script);
        spec.modules.folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("lua")];
        for pair in config.iter().flat_map(Table::pairs::<String, mlua::Value>) {
            let (name, value) = pair?;
            spec.config.extend(setting(&json(&value)?).map(|value| (name, value)));
        }
        Ok(Started { sandbox: Sandbox::load(&spec).map_err(raised)?, entries: 0 })
    }

    fn now(&mut self, ns: i64) -> EntryTime {
        self.entries += 1;
        EntryTime { position: self.entries, ns }
    }

    fn decode(&mut self, message: &Table) -> mlua::Result<Batch> {
        let mut rest = Batch::new();
        let mut draft = draft(message)?;
        self.sandbox
            .decode(&mut draft, &mut rest)
            .map_err(|trouble| raised(format!("{trouble:?}")))?;
        let mut out = Batch::new();
        draft.write(&mut out).map_err(raised)?;
        for message in rest.iter() {
            out.push_encoded(message.bytes(), Marks::default()).map_err(raised)?;
        }
        Ok(out)
    }

    fn encode(&mut self, message: &Table) -> mlua::Result<Option<Vec<u8>>> {
        let mut batch = Batch::new();
        draft(message)?.write(&mut batch).map_err(raised)?;
        let mut out = Vec::new();
        let first = batch.iter().next().ok_or_else(|| raised("no message"))?;
        let has_text = self.sandbox.encode(&first, &mut out);
        let has_text = has_text.map_err(|trouble| raised(format!("{trouble:?}")))?;
        Ok(has_text.then_some(out))
    }

    fn process(&mut self, message: &Table) -> mlua::Result<Batch> {
        let draft = draft(message)?;
        let mut batch = Batch::new();
        draft.write(&mut batch).map_err(raised)?;
        let mut out = Batch::new();
        let mut failures = Vec::new();
        let now = self.now(draft.timestamp.unwrap_or(0));
        let done = self
            .sandbox
            .process(&batch, &[0], now, &mut out, &mut |failure| failures.push(failure));
        if !failures.is_empty() || done.stop.is_some() {
            return Err(raised(format!("{failures:?} {:?}", done.stop)));
        }
        Ok(out)
    }

    fn timer(&mut self, ns: i64) -> mlua::Result<Batch> {
        let mut out = Batch::new();
        let now = self.now(ns);
        let done = self.sandbox.timer(ns, now, false, &mut out);
        done.map_err(|trouble| raised(format!("{trouble:?}")))?;
        Ok(out)
    }
}

impl UserData for Started {
    fn add_methods<M: UserDataMethods<Started>>(methods: &mut M) {
        methods.add_method_mut("decode", |lua, started, message: Table| {
            table(lua, &started.decode(&message)?)
        });
        methods.add_method_mut("encode", |lua, started, message: Table| {
            started.encode(&message)?.map(|text| lua.create_string(text)).transpose()
        });
        methods.add_method_mut("process", |lua, started, message: Table| {
            table(lua, &started.process(&message)?)
        });
        methods.add_method_mut("timer", |lua, started, ns: f64| {
            #[allow(clippy::cast_possible_truncation, reason = "times are far below 2^63")]
            table(lua, &started.timer(ns as i64)?)
        });
    }
}

fn raised(error: impl std::fmt::Display) -> mlua::Error {
    mlua::Error::runtime(error)
}

fn setting(value: &serde_json::Value) -> Option<ConfigValue> {
    Some(match value {
        serde_json::Value::Number(number) if number.as_f64().is_some_and(|n| n.fract() == 0.0) =>
        {
            #[allow(clippy::cast_possible_truncation, reason = "settings are small")]
            ConfigValue::Integer(number.as_f64()? as i64)
        }
        serde_json::Value::Bool(truth) => ConfigValue::Bool(*truth),
        serde_json::Value::Number(number) => ConfigValue::Double(number.as_f64()?),
        serde_json::Value::String(text) => ConfigValue::String(text.clone()),
        _ => return None,
    })
}

/// The message that a table describes.
fn draft(message: &Table) -> mlua::Result<Draft> {
    let text = |name: &str| message.get::<Option<mlua::LuaString>>(name);
    let bytes = |name: &str| text(name).map(|text| text.map(|text| text.as_bytes().to_vec()));
    let mut draft = Draft::default();
    draft.uuid = Some([7; 16]);
    #[allow(clippy::cast_possible_truncation, reason = "times are far below 2^63")]
    let timestamp = message.get::<Option<f64>>("Timestamp")?.unwrap_or(0.0) as i64;
    draft.timestamp = Some(timestamp);
    draft.message_type = bytes("Type")?;
    draft.logger = bytes("Logger")?;
    draft.hostname = bytes("Hostname")?;
    draft.payload = bytes("Payload")?;
    draft.severity = message.get("Severity")?;
    draft.pid = message.get("Pid")?;
    for pair in message.get::<Option<Table>>("Fields")?.iter().flat_map(Table::pairs) {
        let (name, value): (String, mlua::Value) = pair?;
        let mut values = ArrayBuilder::default();
        match &value {
            mlua::Value::String(text) => values.push(Value::String(&text.as_bytes())),
            mlua::Value::Boolean(truth) => values.push(Value::Bool(*truth)),
            other => values.push(Value::Double(number(other))),
        };
        draft.push_array(name.as_bytes(), b"", &values);
    }
    Ok(draft)
}

/// The messages as an array of tables.
fn table(lua: &Lua, batch: &Batch) -> mlua::Result<Table> {
    lua.create_sequence_from(
        batch.iter().map(|message| one(lua, &message)).collect::<mlua::Result<Vec<_>>>()?,
    )
}

fn one(lua: &Lua, message: &Message<'_>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (name, bytes) in [
        ("Type", message.message_type()),
        ("Logger", message.logger()),
        ("Hostname", message.hostname()),
        ("Payload", message.payload()),
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
