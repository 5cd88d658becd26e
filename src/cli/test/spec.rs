//! Runs specs: files that say in Lua what a script does, each in front of the engine's own sandbox.
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
//! | `script:play(messages, seconds)` | all that it injects over messages in the time of their timestamps, with a timer every so many seconds and one at the end |
//! | `decoded(decoder, options, text)` | the messages of a log or a stream of framed messages; `decoder` is a kind, a script or nil |
//! | `read(file)` | what is in a file beside the spec: a log, or a capture by `heka cat --format heka` |
//! | `evaluate(body)` | what the body of a function returns in a sandbox, as the text of a JSON array |
//! | `equal(found, expected)` | raises when they differ |
//! | `fails(body, text)` | raises unless `body` raises an error with this text in it |
//!
//! Messages are tables: header fields by name, `Fields` with a value, an array, or a table with `value`,
//! `value_type` and `representation` for each name.

use std::cell::RefCell;
use std::path::Path;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use mlua::Lua;
use mlua::Table;
use mlua::VmState;

use super::Setup;
use super::collected::decoded;
use super::raised;
use super::started::Started;
use super::values;

/// How long a test may take.
const MAX_TIME: Duration = Duration::from_mins(1);
/// What a spec may hold, in bytes; its scripts have limits of their own.
const MAX_MEMORY: usize = 256 << 20;
/// The largest file a spec may read, in bytes.
const MAX_FILE: u64 = 64 << 20;
/// How the file of a spec ends.
const ENDING: &str = "_spec.lua";

/// The specs in a folder and those below it, or the spec that `path` is or that stands beside it.
///
/// # Errors
/// When there is none or a folder cannot be read.
pub(super) fn specs(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut specs = Vec::new();
    if path.is_dir() {
        collect(path, &mut specs)?;
        specs.sort();
    } else if is_spec(path) {
        specs.push(path.to_owned());
    } else {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        specs.push(path.with_file_name(format!("{name}{ENDING}")));
    }
    match specs.iter().find(|spec| !spec.is_file()) {
        Some(missing) => anyhow::bail!("there is no spec {}", missing.display()),
        None if specs.is_empty() => anyhow::bail!("there are no specs in {}", path.display()),
        None => Ok(specs),
    }
}

fn collect(folder: &Path, specs: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        let path = entry.path();
        // Links are not followed: they may lead round.
        if entry.file_type()?.is_dir() {
            collect(&path, specs)?;
        } else if is_spec(&path) {
            specs.push(path);
        }
    }
    Ok(())
}

fn is_spec(path: &Path) -> bool {
    path.to_string_lossy().ends_with(ENDING)
}

/// The script that a spec is of.
pub(super) fn script_of(spec: &Path) -> PathBuf {
    PathBuf::from(spec.to_string_lossy().replace(ENDING, ".lua"))
}

/// Runs a spec, and of its tests the one called `wanted`; returns the names of all.
///
/// # Errors
/// When the spec is wrong or the test fails.
pub(super) fn run(spec: &Path, wanted: Option<&str>, setup: &Setup) -> mlua::Result<Vec<String>> {
    let lua = Lua::new();
    lua.set_memory_limit(MAX_MEMORY)?;
    let until = Instant::now() + MAX_TIME;
    lua.set_interrupt(move |_| {
        if Instant::now() > until {
            return Err(raised(format!("it takes longer than {} s", MAX_TIME.as_secs())));
        }
        Ok(VmState::Continue)
    });
    let names = outline(&lua, wanted)?;
    words(&lua, spec, setup)?;
    let text = std::fs::read_to_string(spec)?;
    lua.load(text).set_name(format!("={}", spec.display())).exec()?;
    Ok(names.take())
}

/// Sets the words that give a spec its form; returns where the names of tests go.
fn outline(lua: &Lua, wanted: Option<&str>) -> mlua::Result<Rc<RefCell<Vec<String>>>> {
    let path = Rc::new(RefCell::new(Vec::<String>::new()));
    let names = Rc::new(RefCell::new(Vec::new()));
    let inner = path.clone();
    let describe = move |_: &Lua, (name, body): (String, mlua::Function)| {
        inner.borrow_mut().push(name);
        let result = body.call::<()>(());
        inner.borrow_mut().pop();
        result
    };
    let found = names.clone();
    let wanted = wanted.map(ToOwned::to_owned);
    let it = move |_: &Lua, (name, body): (String, mlua::Function)| {
        path.borrow_mut().push(name);
        let full = path.borrow().join(" ");
        path.borrow_mut().pop();
        found.borrow_mut().push(full.clone());
        if wanted.as_ref() == Some(&full) { body.call::<()>(()) } else { Ok(()) }
    };
    lua.globals().set("describe", lua.create_function(describe)?)?;
    lua.globals().set("it", lua.create_function(it)?)?;
    Ok(names)
}

/// Sets the words that scripts are started, fed and asked with.
fn words(lua: &Lua, spec: &Path, setup: &Setup) -> mlua::Result<()> {
    let folder = spec.parent().unwrap_or(Path::new("")).to_owned();
    let script = script_of(spec);
    let own = setup.clone();
    let sandbox = move |_: &Lua, config: Option<Table>| {
        let text = std::fs::read_to_string(&script)
            .map_err(|error| raised(format!("cannot read {}: {error}", script.display())))?;
        Started::new(&script, text, config.as_ref(), &own)
    };
    let own = setup.clone();
    let filter = move |_: &Lua, (text, config): (String, Option<Table>)| {
        Started::new(Path::new("filter.lua"), text, config.as_ref(), &own)
    };
    let own = setup.clone();
    let evaluate = move |lua: &Lua, body: String| evaluated(lua, &body, &own);
    let (own, beside) = (setup.clone(), folder.clone());
    let decoded = move |lua: &Lua,
                        (decoder, options, text): (
        Option<String>,
        Option<Table>,
        mlua::LuaString,
    )| {
        let batch =
            decoded(decoder.as_deref(), options.as_ref(), text.as_bytes().to_vec(), &beside, &own);
        values::table(lua, &batch.map_err(|error| raised(format!("{error:#}")))?)
    };
    let read = move |lua: &Lua, name: String| {
        let path = folder.join(name);
        let cannot = |error: &dyn std::fmt::Display| {
            raised(format!("cannot read {}: {error}", path.display()))
        };
        if path.metadata().is_ok_and(|found| found.len() > MAX_FILE) {
            return Err(cannot(&"it is too large"));
        }
        lua.create_string(std::fs::read(&path).map_err(|error| cannot(&error))?)
    };
    let globals = lua.globals();
    globals.set("sandbox", lua.create_function(sandbox)?)?;
    globals.set("filter", lua.create_function(filter)?)?;
    globals.set("evaluate", lua.create_function(evaluate)?)?;
    globals.set("decoded", lua.create_function(decoded)?)?;
    globals.set("read", lua.create_function(read)?)?;
    globals.set("equal", lua.create_function(values::equal)?)?;
    globals.set("fails", lua.create_function(fails)?)
}

/// What the body of a function returns in a sandbox, as the text of a JSON array.
fn evaluated(lua: &Lua, body: &str, setup: &Setup) -> mlua::Result<String> {
    let text = format!(
        "function process_message()
           inject_payload('json', '', cjson.encode({{(function() {body}\nend)()}}))
           return 0
         end"
    );
    let mut started = Started::new(Path::new("body.lua"), text, None, setup)?;
    let out = started.process(&lua.create_table()?)?;
    let payload = out.iter().next().map(|message| message.payload().to_vec());
    Ok(String::from_utf8_lossy(&payload.unwrap_or_default()).into_owned())
}

fn fails(_: &Lua, (body, text): (mlua::Function, Option<String>)) -> mlua::Result<()> {
    let text = text.unwrap_or_default();
    match body.call::<()>(()) {
        Ok(()) => Err(raised(format!("found    no error\nexpected an error with {text:?}"))),
        Err(error) if error.to_string().contains(&text) => Ok(()),
        Err(error) => Err(raised(format!("found    {error}\nexpected an error with {text:?}"))),
    }
}
