//! Loads and unloads filters that come over the wire.
//!
//! A control message has the Type `heka.control.sandbox` and a Timestamp within five seconds of its
//! arrival. With `Fields[action]` `load` its payload is the script of a filter and `Fields[config]`
//! its section, of which the first table counts; with `unload`, `Fields[name]` is the name of that
//! section. The filter is called after its manager and the section, `ops-requests` say. Limits and
//! the folders of modules are the manager's, whatever the section says; like every filter it
//! reaches nothing of the world outside.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::Batch;
use crate::message::Message;
use crate::message::Value;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Filter;
use crate::plugin::FilterCall;
use crate::plugin::FilterContext;
use crate::plugin::FilterFailure;
use crate::plugin::Filtering;
use crate::plugin::Stop;
use crate::plugin::Wish;
use crate::plugin::Wishes;
use crate::stdx::duration;
use crate::stdx::size;

/// The matcher of control messages.
const MATCHER: &str = "Type == 'heka.control.sandbox'";
/// How far the clock of who sends may be off, in nanoseconds.
const MAX_SKEW: i64 = 5_000_000_000;

/// Loads, replaces and unloads filters by signed control messages.
///
/// `message_signer` says whose messages count, so each group that may load has a manager of its own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SandboxManagerFilter {
    /// Where sections and scripts are kept, relative to `base_dir`.
    working_directory: PathBuf,
    /// Folders with modules, with `;` between them; those of `share_dir` where left out.
    module_directory: Option<String>,
    /// How many filters there may be at the same time.
    max_filters: usize,
    /// Bytes each script may hold, at least 2 MiB; 0 is no limit.
    #[serde(deserialize_with = "size::bytes")]
    #[schemars(with = "size::Written")]
    memory_limit: u64,
    /// CPU time one call of each may take, 0 is no limit; 100 ms where left out. In milliseconds.
    #[serde(deserialize_with = "duration::optional_milliseconds")]
    #[schemars(with = "Option<duration::Written>")]
    cpu_limit: Option<Duration>,
    /// Heka's limit of time, read where `cpu_limit` is left out: 1 000 000 stands for 100 ms.
    instruction_limit: Option<u64>,
    /// Bytes one payload or message of each may have; 0 is no limit.
    #[serde(deserialize_with = "size::bytes")]
    #[schemars(with = "size::Written")]
    output_limit: u64,
    #[serde(skip)]
    wishes: OnceLock<Arc<Wishes>>,
}

impl Default for SandboxManagerFilter {
    fn default() -> SandboxManagerFilter {
        SandboxManagerFilter {
            working_directory: PathBuf::from("sbxmgrs"),
            module_directory: None,
            max_filters: 20,
            memory_limit: 8 << 20,
            cpu_limit: None,
            instruction_limit: None,
            output_limit: 63 << 10,
            wishes: OnceLock::new(),
        }
    }
}

impl Described for SandboxManagerFilter {
    const NAME: &'static str = "SandboxManagerFilter";
    const ABOUT: &'static str = "Loads and unloads filters by signed control messages.";
    const EXAMPLE: &'static str = "[ops]\ntype = \"SandboxManagerFilter\"\n\
        message_signer = \"ops\"\nmax_filters = 20\n";
    const DEFAULTS: Defaults = Defaults { message_matcher: Some(MATCHER), ..Defaults::NONE };
}

impl Filter for SandboxManagerFilter {
    fn start(&self, cx: &FilterContext<'_>) -> anyhow::Result<Box<dyn Filtering>> {
        Ok(Box::new(Manager {
            name: cx.name.to_owned(),
            folder: self.folder(cx.engine),
            most: self.max_filters,
            limits: self.limits(),
            wishes: self.wishes.get().cloned().unwrap_or_default(),
        }))
    }

    fn lend(&self, wishes: &Arc<Wishes>) {
        let _ = self.wishes.set(wishes.clone());
    }

    fn loads_from(&self, engine: &Engine) -> Option<PathBuf> {
        Some(self.folder(engine))
    }
}

impl SandboxManagerFilter {
    fn folder(&self, engine: &Engine) -> PathBuf {
        engine.base_dir.join(&self.working_directory)
    }

    /// What the sections of all its filters say.
    fn limits(&self) -> toml::Table {
        let whole = |number: u64| toml::Value::from(i64::try_from(number).unwrap_or(i64::MAX));
        let mut limits = toml::Table::new();
        limits.insert("memory_limit".to_owned(), whole(self.memory_limit));
        limits.insert("output_limit".to_owned(), whole(self.output_limit));
        if let Some(limit) = self.cpu_limit {
            let milliseconds = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            limits.insert("cpu_limit".to_owned(), whole(milliseconds));
        } else if let Some(limit) = self.instruction_limit {
            limits.insert("instruction_limit".to_owned(), whole(limit));
        }
        if let Some(folders) = &self.module_directory {
            limits.insert("module_directory".to_owned(), toml::Value::from(folders.as_str()));
        }
        limits
    }
}

struct Manager {
    name: String,
    folder: PathBuf,
    most: usize,
    limits: toml::Table,
    wishes: Arc<Wishes>,
}

impl Filtering for Manager {
    fn process(
        &mut self,
        batch: &Batch,
        matched: &[u16],
        call: &mut FilterCall<'_>,
    ) -> Result<(), Stop> {
        for &index in matched {
            let message = batch.message(usize::from(index));
            let at = (call.entry, u64::from(index));
            if let Err(error) = self.obey(&message, call.time, at) {
                let reason = format!("the control message is refused: {error:#}");
                (call.on_failure)(FilterFailure { message: Some(index), reason });
            }
        }
        Ok(())
    }

    fn is_settled(&self) -> bool {
        !self.wishes.waits(&self.name)
    }

    fn snapshot(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn restore(&mut self, _state: &[u8]) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

impl Manager {
    fn obey(&self, message: &Message<'_>, now: i64, at: (u64, u64)) -> anyhow::Result<()> {
        let skew = now.saturating_sub(message.timestamp());
        anyhow::ensure!(skew.abs() <= MAX_SKEW, "its Timestamp is more than 5 s off");
        let (name, filter) = match text(message, "action")? {
            "load" => {
                let section = text(message, "config")?;
                let script =
                    std::str::from_utf8(message.payload()).context("the script is no text")?;
                let (name, section) = self.section(section)?;
                (name, Some((section, script.to_owned())))
            }
            "unload" => (self.full_name(text(message, "name")?), None),
            other => anyhow::bail!("there is no action `{other}`"),
        };
        let wish = Wish {
            manager: self.name.clone(),
            at,
            folder: self.folder.clone(),
            most: self.most,
            name,
            filter,
        };
        anyhow::ensure!(self.wishes.ask(wish), "too many requests wait");
        Ok(())
    }

    /// The section with the name and the limits that it gets.
    fn section(&self, written: &str) -> anyhow::Result<(String, String)> {
        let table: toml::Table = written.parse().context("the section is no TOML")?;
        let (name, settings) = table.into_iter().next().context("there is no section")?;
        let toml::Value::Table(mut settings) = settings else {
            anyhow::bail!("the settings stand in no section");
        };
        for limit in ["memory_limit", "cpu_limit", "instruction_limit", "output_limit"] {
            settings.remove(limit);
        }
        for foreign in ["module_directory", "filename", "allow"] {
            settings.remove(foreign);
        }
        settings.extend(self.limits.clone());
        let name = self.full_name(&name);
        let table = toml::Table::from_iter([(name.clone(), toml::Value::Table(settings))]);
        Ok((name, toml::to_string(&table)?))
    }

    /// The name of a section after that of its manager; what is no letter, digit or `_` is `_`.
    fn full_name(&self, section: &str) -> String {
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let section = section.chars().map(|letter| if is_word(letter) { letter } else { '_' });
        format!("{}-{}", self.name, section.take(100).collect::<String>())
    }
}

/// The text of a field.
fn text<'a>(message: &Message<'a>, field: &str) -> anyhow::Result<&'a str> {
    match message.value(field.as_bytes(), 0, 0) {
        Some(Value::String(text) | Value::Bytes(text)) => {
            std::str::from_utf8(text).with_context(|| format!("Fields[{field}] is no text"))
        }
        _ => anyhow::bail!("Fields[{field}] is missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::testing;

    /// What a control message with these fields, off by so many seconds, asks for.
    fn check(fields: &[(&str, &str)], off: i64) -> Result<Wish, String> {
        let settings = "max_filters = 3\nmemory_limit = 4_000_000\ninstruction_limit = 500_000";
        let plugin: SandboxManagerFilter = toml::from_str(settings).unwrap();
        let wishes = Arc::new(Wishes::default());
        plugin.lend(&wishes);
        let mut manager = testing::start(&plugin, Duration::ZERO);
        let mut batch = Batch::new();
        let mut message = batch.begin();
        message.timestamp((100 + off) * 1_000_000_000).payload(b"-- script");
        for (name, value) in fields {
            message.string(name, "", value.as_bytes());
        }
        message.finish().unwrap();
        let mut failures = Vec::new();
        let mut out = Batch::new();
        let mut call = FilterCall {
            entry: 7,
            time: 100_000_000_000,
            engine_time: 1,
            out: &mut out,
            on_failure: &mut |failure| failures.push(failure.reason),
        };
        manager.process(&batch, &[0], &mut call).unwrap();
        let is_asked = failures.is_empty();
        assert_eq!(manager.is_settled(), !is_asked);
        let wish = wishes.next();
        // It is being done, and then it is.
        assert_eq!(manager.is_settled(), !is_asked);
        assert_eq!(wishes.next(), None);
        assert!(manager.is_settled());
        wish.ok_or_else(|| failures.remove(0))
    }

    #[test]
    fn sections_get_the_name_and_the_limits_of_the_manager() {
        let config = "[my-counts]\ntype = 'SandboxFilter'\nfilename = '/etc/passwd'\n\
            message_matcher = 'TRUE'\nmemory_limit = 0\ncpu_limit = 0\nallow = ['io']\n\
            module_directory = '/'\n[other]\n";
        let load = check(&[("action", "load"), ("config", config)], 3).unwrap();
        assert_eq!((load.name.as_str(), load.at, load.most), ("filter-my_counts", (7, 0), 3));
        let (section, script) = load.filter.unwrap();
        assert_eq!(script, "-- script");
        let expected = "[filter-my_counts]\ninstruction_limit = 500000\nmemory_limit = 4000000\n\
            message_matcher = \"TRUE\"\noutput_limit = 64512\ntype = \"SandboxFilter\"\n";
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&section), sorted(expected));
    }

    #[test]
    fn what_is_old_or_makes_no_sense_is_refused() {
        let load = check(&[("action", "unload"), ("name", "a b")], -4).unwrap();
        assert_eq!((load.name.as_str(), load.filter), ("filter-a_b", None));
        for (fields, off, expected) in [
            (vec![("action", "unload"), ("name", "a")], 6, "5 s off"),
            (vec![("action", "unload"), ("name", "a")], -6, "5 s off"),
            (vec![("action", "drop")], 0, "no action `drop`"),
            (vec![("action", "unload")], 0, "Fields[name] is missing"),
            (vec![("action", "load"), ("config", "[")], 0, "no TOML"),
            (vec![("action", "load"), ("config", "a = 1")], 0, "in no section"),
        ] {
            let refused = check(&fields, off).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
