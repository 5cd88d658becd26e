//! A script that a spec has started, in a sandbox of the engine.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use mlua::Table;
use mlua::UserData;
use mlua::UserDataMethods;

use super::coverage::Coverage;
use super::raised;
use super::values::draft;
use super::values::json;
use super::values::setting;
use super::values::table;
use crate::cli::check::said_family;
use crate::cli::standalone::Clock;
use crate::message::Batch;
use crate::message::Draft;
use crate::message::Marks;
use crate::sandbox::EntryTime;
use crate::sandbox::Failure;
use crate::sandbox::Role;
use crate::sandbox::Sandbox;
use crate::sandbox::Stop;
use crate::sandbox::Trouble;

/// See the module.
pub(super) struct Started {
    sandbox: Sandbox,
    entries: u64,
    coverage: Option<Rc<RefCell<Coverage>>>,
}

impl Started {
    /// Starts `text`, which stands in the file `script`, with `config` for `read_config`.
    pub(super) fn new(
        script: &Path,
        text: String,
        config: Option<&Table>,
        setup: &super::Setup,
    ) -> mlua::Result<Started> {
        let role = match said_family(script, &text) {
            Some("decoder") => Role::Decoder,
            Some("encoder") => Role::Encoder,
            _ => Role::Filter,
        };
        let mut spec = setup.spec(role, script, text);
        for pair in config.into_iter().flat_map(Table::pairs::<String, mlua::Value>) {
            let (name, value) = pair?;
            spec.config.extend(setting(&json(&value, 0)?).map(|value| (name, value)));
        }
        let sandbox = Sandbox::load(&spec).map_err(raised)?;
        Ok(Started { sandbox, entries: 0, coverage: setup.coverage.clone() })
    }

    fn now(&mut self, ns: i64) -> EntryTime {
        self.entries += 1;
        EntryTime { position: self.entries, ns }
    }

    fn decode(&mut self, message: &Table) -> mlua::Result<Batch> {
        let mut rest = Batch::new();
        let mut draft = draft(message)?;
        self.sandbox.decode(&mut draft, &mut rest).map_err(|trouble| raised(told(trouble)))?;
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
        let has_text = has_text.map_err(|trouble| raised(told(trouble)))?;
        Ok(has_text.then_some(out))
    }

    pub(super) fn process(&mut self, message: &Table) -> mlua::Result<Batch> {
        let mut out = Batch::new();
        let draft = draft(message)?;
        self.process_draft(&draft, &mut out)?;
        Ok(out)
    }

    fn process_draft(&mut self, draft: &Draft, out: &mut Batch) -> mlua::Result<()> {
        let mut batch = Batch::new();
        draft.write(&mut batch).map_err(raised)?;
        let mut failures = Vec::new();
        let now = self.now(draft.timestamp.unwrap_or(0));
        let on_failure = &mut |failure| failures.push(failure);
        let done = self.sandbox.process(&batch, &[0], now, out, on_failure);
        match (failures.pop(), done.stop) {
            (Some(failure), _) => Err(raised(told(Trouble::Failed(failure)))),
            (_, Some(stop)) => Err(raised(told(Trouble::Stopped(stop)))),
            _ => Ok(()),
        }
    }

    fn timer(&mut self, ns: i64, out: &mut Batch) -> mlua::Result<()> {
        let now = self.now(ns);
        let done = self.sandbox.timer(ns, now, false, out);
        done.map_err(|trouble| raised(told(trouble)))
    }

    /// Plays messages in the time of their timestamps, with a timer every so often and one at the end.
    fn play(&mut self, messages: &Table, interval: Duration) -> mlua::Result<Batch> {
        let mut out = Batch::new();
        let mut clock = Clock::new(interval);
        for message in messages.sequence_values::<Table>() {
            let draft = draft(&message?)?;
            let time = draft.timestamp.unwrap_or(0);
            if clock.is_behind(time) {
                while clock.advance(time) {
                    self.timer(clock.now(), &mut out)?;
                }
            }
            self.process_draft(&draft, &mut out)?;
        }
        if !interval.is_zero() {
            let more = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
            let _ = clock.advance(clock.now().saturating_add(more));
            self.timer(clock.now(), &mut out)?;
        }
        Ok(out)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(coverage) = &self.coverage {
            coverage.borrow_mut().add(self.sandbox.coverage());
        }
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
            let mut out = Batch::new();
            #[allow(clippy::cast_possible_truncation, reason = "such a cast saturates")]
            started.timer(ns as i64, &mut out)?;
            table(lua, &out)
        });
        methods.add_method_mut(
            "play",
            |lua, started, (messages, seconds): (Table, Option<f64>)| {
                let seconds =
                    Duration::try_from_secs_f64(seconds.unwrap_or(0.0)).map_err(raised)?;
                table(lua, &started.play(&messages, seconds)?)
            },
        );
    }
}

/// What went wrong, in words.
fn told(trouble: Trouble) -> String {
    let (message, traceback) = match trouble {
        Trouble::Failed(Failure { status: Some(status), message, traceback, .. }) => {
            (format!("it returned {status}: {message}"), traceback)
        }
        Trouble::Failed(Failure { message, traceback, .. })
        | Trouble::Stopped(Stop::Limit { message, traceback, .. }) => (message, traceback),
        Trouble::Stopped(Stop::Terminated { reason, .. }) => {
            (format!("it has ended itself: {reason}"), String::new())
        }
    };
    if traceback.is_empty() { message } else { format!("{message}\n{}", traceback.trim_end()) }
}
