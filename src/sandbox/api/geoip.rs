//! `geoip`: what a database of networks in MaxMind's format (MMDB) says of an address.
//!
//! A database is in memory once, however many scripts have it, and does not count against their
//! budgets. A script opens what its own section names: a path that stands in its `config`. A
//! snapshot keeps the path.

use std::any::Any;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;
use std::time::SystemTime;

use maxminddb::PathElement;
use maxminddb::Reader;

use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;
use crate::sandbox::raw::Object;
use crate::sandbox::raw::ObjectKind;
use crate::sandbox::raw::Value;
use crate::sandbox::spec::ConfigValue;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"geoip",
    functions: &[(c"open", open)],
    parts: &[],
    kinds: &[ObjectKind {
        tag: TAG,
        name: c"geoip_database",
        methods: &[(c"find", find), (c"build_time", build_time)],
        metamethods: &[],
        load: |state| Some(Box::new(load(state)?)),
    }],
};

const TAG: u8 = 24;

/// The largest database, in bytes.
const MAX_SIZE: u64 = 1 << 30;
/// As many parts a path may have.
const MAX_PARTS: usize = 16;

type Data = Reader<Vec<u8>>;

type Open = HashMap<(PathBuf, SystemTime), Weak<Data>>;

/// The databases in memory, by path and by when the file was written.
static OPEN: LazyLock<Mutex<Open>> = LazyLock::new(Mutex::default);

/// A database as a script holds it.
#[derive(Debug)]
struct Database {
    path: PathBuf,
    /// Nothing where the file was not to be read when a snapshot was taken over.
    data: Option<Arc<Data>>,
}

impl Object for Database {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        self.path.as_os_str().len() + 64
    }

    fn print(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }

    /// 1, then the path.
    fn save(&self, out: &mut Vec<u8>) {
        out.push(1);
        out.extend_from_slice(self.path.to_string_lossy().as_bytes());
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        *self = load(state).ok_or("the saved state is damaged")?;
        Ok(())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

fn load(state: &[u8]) -> Option<Database> {
    let path = PathBuf::from(std::str::from_utf8(state.strip_prefix(&[1])?).ok()?);
    let data = read(&path).ok();
    Some(Database { path, data })
}

/// Reads a database, or shares the one that is in memory.
fn read(path: &Path) -> Result<Arc<Data>, String> {
    let cannot = |error: &dyn std::fmt::Display| format!("cannot read {}: {error}", path.display());
    let mut file = File::open(path).map_err(|error| cannot(&error))?;
    let found = file.metadata().map_err(|error| cannot(&error))?;
    if !found.is_file() || found.len() > MAX_SIZE {
        return Err(cannot(&"it is no file of at most 1 GiB"));
    }
    let key = (path.to_owned(), found.modified().unwrap_or(SystemTime::UNIX_EPOCH));
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(data) = open.get(&key).and_then(Weak::upgrade) {
        return Ok(data);
    }
    let mut bytes = Vec::new();
    file.by_ref().take(MAX_SIZE).read_to_end(&mut bytes).map_err(|error| cannot(&error))?;
    let data = Arc::new(Reader::from_source(bytes).map_err(|error| cannot(&error))?);
    open.retain(|_, data| data.strong_count() > 0);
    open.insert(key, Arc::downgrade(&data));
    Ok(data)
}

/// `geoip.open(path)`: the database in a file that the section's `config` names.
fn open<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("open", args);
    let text = call.text(1)?;
    let is_named = cx
        .setting
        .config
        .values()
        .any(|value| matches!(value, ConfigValue::String(named) if named.as_bytes() == text));
    if !is_named {
        return Err(call.refused(1, "path", "the section's config does not name it"));
    }
    let path = PathBuf::from(String::from_utf8_lossy(text).into_owned());
    let data = Some(read(&path).map_err(|error| call.refused(1, "path", error))?);
    cx.park(Box::new(Database { path, data }));
    Ok(Answer::Parked)
}

/// `database:find(address, ...)` → what stands under these names, of lists numbers from one; text,
/// a number or a truth value, and a table or list as JSON. Nil where there is nothing, or no address.
fn find<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("find", args);
    let address = std::str::from_utf8(call.text(1)?);
    let Ok(Ok(address)) = address.map(str::parse::<IpAddr>) else { return Ok(Answer::Nil) };
    let this = call.this::<Database>()?;
    let Some(data) = &this.data else {
        return Err(format!("the database {} cannot be read", this.path.display()).into());
    };
    let mut path = Vec::new();
    for number in 2..=call.len().min(MAX_PARTS + 1) {
        path.push(match call.value(number) {
            Value::Text(name) => PathElement::Key(
                std::str::from_utf8(name)
                    .map_err(|_| call.refused(number, "name", "it is not UTF-8"))?,
            ),
            Value::Number(_) => {
                let index = call.whole(number, "name", 1..=1 << 20)?;
                PathElement::Index(usize::try_from(index - 1).unwrap_or(0))
            }
            _ => return Err(call.wrong(number, "string or number")),
        });
    }
    let found = data.lookup(address).and_then(|it| it.decode_path::<serde_json::Value>(&path));
    let Ok(Some(found)) = found else { return Ok(Answer::Nil) };
    drop(this);
    Ok(match found {
        serde_json::Value::Null => Answer::Nil,
        serde_json::Value::Bool(truth) => Answer::Bool(truth),
        serde_json::Value::Number(number) => number.as_f64().map_or(Answer::Nil, Answer::Number),
        serde_json::Value::String(text) => show(cx, &text),
        other => show(cx, &other.to_string()),
    })
}

fn show<'a>(cx: &'a mut Context, text: &str) -> Answer<'a> {
    cx.scratch.clear();
    cx.scratch.extend_from_slice(text.as_bytes());
    Answer::Text(&cx.scratch)
}

/// `database:build_time()` → when it was made, in seconds since the epoch.
fn build_time<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("build_time", args).this::<Database>()?;
    let made = this.data.as_ref().map(|data| data.metadata().build_epoch);
    Ok(made.map_or(Answer::Nil, |seconds| Answer::Number(seconds as f64)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::sandbox::Role;
    use crate::sandbox::Sandbox;
    use crate::sandbox::Script;
    use crate::sandbox::Spec;

    fn text(out: &mut Vec<u8>, text: &str) {
        out.push(2 << 5 | u8::try_from(text.len()).unwrap());
        out.extend_from_slice(text.as_bytes());
    }

    fn number(out: &mut Vec<u8>, kind: u8, number: u64, bytes: usize) {
        match kind {
            0..=7 => out.push(kind << 5 | u8::try_from(bytes).unwrap()),
            _ => out.extend([u8::try_from(bytes).unwrap(), kind - 7]),
        }
        out.extend_from_slice(&number.to_be_bytes()[8 - bytes..]);
    }

    /// A database with one network, 192.0.2.0/24: a tree with a node for each of its bits, then
    /// the data of the network, then what the file says of itself.
    pub(in crate::sandbox) fn database() -> Vec<u8> {
        let (network, bits) = (0xc000_0200_u32, 24_u32);
        let mut out = Vec::new();
        for bit in 0..bits {
            let next = if bit + 1 < bits { bit + 1 } else { bits + 16 };
            let is_right = network >> (31 - bit) & 1 == 1;
            for side in if is_right { [bits, next] } else { [next, bits] } {
                out.extend_from_slice(&side.to_be_bytes()[1..]);
            }
        }
        out.extend_from_slice(&[0; 16]);
        out.push(7 << 5 | 3);
        text(&mut out, "country");
        out.push(7 << 5 | 1);
        text(&mut out, "iso_code");
        text(&mut out, "XX");
        text(&mut out, "places");
        out.extend([1, 4]);
        out.push(7 << 5 | 1);
        text(&mut out, "name");
        text(&mut out, "Somewhere");
        text(&mut out, "latitude");
        out.push(3 << 5 | 8);
        out.extend_from_slice(&12.5_f64.to_be_bytes());
        out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        out.push(7 << 5 | 9);
        for (name, value) in
            [("binary_format_major_version", 2), ("binary_format_minor_version", 0)]
        {
            text(&mut out, name);
            number(&mut out, 5, value, 2);
        }
        text(&mut out, "build_epoch");
        number(&mut out, 9, 1_790_000_000, 8);
        text(&mut out, "database_type");
        text(&mut out, "Test");
        text(&mut out, "description");
        out.push(7 << 5);
        text(&mut out, "ip_version");
        number(&mut out, 5, 4, 2);
        text(&mut out, "languages");
        out.extend([0, 4]);
        text(&mut out, "node_count");
        number(&mut out, 6, bits.into(), 4);
        text(&mut out, "record_size");
        number(&mut out, 5, 24, 2);
        out
    }

    /// Starts a script that fails by `assert`; `PATH` is the database.
    fn load_script(text: &str, path: &Path) -> Result<Sandbox, String> {
        let text = format!(
            "local geoip = require('geoip')\n{text}\nfunction process_message() return 0 end"
        );
        let mut spec = Spec::new("test", Role::Filter, Script { path: "geo.lua".into(), text });
        let named = ConfigValue::String(path.display().to_string());
        spec.config.insert("database".to_owned(), named);
        Sandbox::load(&spec).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_are_found_by_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.mmdb");
        std::fs::write(&path, database()).unwrap();
        let script = "db = geoip.open(read_config('database'))
            assert(db:find('192.0.2.7', 'country', 'iso_code') == 'XX')
            assert(db:find('192.0.2.7', 'places', 1, 'name') == 'Somewhere')
            assert(db:find('192.0.2.7', 'latitude') == 12.5)
            assert(cjson.decode(db:find('192.0.2.7')).country.iso_code == 'XX')
            assert(db:find('192.0.2.7', 'nothing') == nil)
            assert(db:find('192.0.3.7', 'country', 'iso_code') == nil)
            assert(db:find('here', 'country', 'iso_code') == nil)
            assert(db:build_time() == 1790000000)
            assert(not pcall(db.find, db, '192.0.2.7', {}))";
        let mut first = load_script(script, &path).unwrap();
        let state = first.snapshot().unwrap();
        load_script("db = nil", &path).unwrap().restore(&state).unwrap();
        std::fs::remove_file(&path).unwrap();
        load_script("db = nil", &path).unwrap().restore(&state).unwrap();
    }

    #[test]
    fn only_what_the_section_names_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.mmdb");
        let bytes = database();
        for length in [0, 10, bytes.len() - 40] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let error = load_script("geoip.open(read_config('database'))", &path).unwrap_err();
            assert!(error.contains("cannot read"), "{error}");
        }
        let error = load_script("geoip.open('/etc/passwd')", &path).unwrap_err();
        assert!(error.contains("the section's config does not name it"), "{error}");
    }
}
