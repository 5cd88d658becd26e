//! `SandboxDecoder`: a Lua script makes messages of records.

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::Batch;
use crate::message::Draft;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Record;
use crate::plugin::States;
use crate::sandbox::Role;
use crate::sandbox::Sandbox;
use crate::sandbox::Settings;
use crate::sandbox::Spec;
use crate::sandbox::Stop;
use crate::sandbox::Trouble;

/// Makes messages of records with a Lua script, under limits.
///
/// `tz` in `config` is the zone of the times that the script sets, as `Europe/Berlin`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct SandboxDecoder(Settings);

impl Described for SandboxDecoder {
    const NAME: &'static str = "SandboxDecoder";
    const ABOUT: &'static str = "Makes messages of records with a Lua script.";
    const EXAMPLE: &'static str =
        "[SandboxDecoder]\nfilename = \"lua_decoders/linux_loadavg.lua\"\n";
}

impl Decoder for SandboxDecoder {
    fn start(&self, cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        let mut spec = self.0.spec(cx.name, Role::Decoder, &cx.engine.share_dir)?;
        spec.hostname = cx.engine.hostname.to_string();
        spec.pid = cx.engine.pid;
        spec.limits.max_message_loops = cx.engine.max_message_loops;
        Ok(Box::new(Script {
            sandbox: Sandbox::load(&spec).context("cannot load the script")?,
            spec,
            draft: Draft::default(),
            more: Batch::new(),
            ended: None,
            keeps_state: self.0.preserve_data,
        }))
    }

    fn files(&self, engine: &Engine) -> Vec<std::path::PathBuf> {
        self.0.files(&engine.share_dir)
    }

    fn version(&self, engine: &Engine) -> anyhow::Result<Vec<u8>> {
        Ok(self.0.version(&engine.share_dir)?)
    }
}

struct Script {
    spec: Spec,
    sandbox: Sandbox,
    draft: Draft,
    /// What the script injects behind its first message.
    more: Batch,
    /// Why the script has ended itself.
    ended: Option<String>,
    keeps_state: bool,
}

impl Decoding for Script {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        if let Some(reason) = &self.ended {
            bail!("the script has ended itself: {reason}");
        }
        record.draft(&mut self.draft)?;
        self.more.truncate(0);
        match self.sandbox.decode(&mut self.draft, &mut self.more) {
            Ok(()) => {}
            Err(Trouble::Failed(failure)) => bail!(told(failure.status, &failure.message)),
            Err(Trouble::Stopped(stop)) => return Err(self.stopped(stop)),
        }
        self.draft.marks = record.marks;
        self.draft.write(out)?;
        for index in 0..self.more.len() {
            let message = self.more.message(index);
            out.push_located(message.bytes(), *message.header(), record.marks)?;
        }
        Ok(())
    }

    fn hand_on(&mut self, states: &mut States) {
        if self.keeps_state
            && let Ok(state) = self.sandbox.snapshot()
        {
            states.insert(self.spec.name.clone(), state);
        }
    }

    fn take_over(&mut self, states: &States) -> anyhow::Result<()> {
        if self.keeps_state
            && let Some(state) = states.get(&self.spec.name)
        {
            let restored = self.sandbox.restore(state)?;
            if !restored.kept_in_part.is_empty() {
                let (script, not_kept) = (&*self.spec.name, restored.kept_in_part);
                tracing::warn!(script, ?not_kept, "state kept in part");
            }
        }
        Ok(())
    }
}

impl Script {
    /// What a call that was stopped means for the record and those behind it. A call that met a
    /// limit may have left the state half changed, so that the script starts anew.
    fn stopped(&mut self, stop: Stop) -> anyhow::Error {
        match stop {
            Stop::Limit { message, .. } => match Sandbox::load(&self.spec) {
                Ok(fresh) => {
                    self.sandbox = fresh;
                    anyhow!("{message}; the script starts anew")
                }
                Err(error) => {
                    self.ended = Some(error.to_string());
                    anyhow!("{message}; the script does not start again: {error}")
                }
            },
            Stop::Terminated { reason, .. } => {
                self.ended = Some(reason.clone());
                anyhow!("the script has ended itself: {reason}")
            }
        }
    }
}

fn told(status: Option<i64>, message: &str) -> String {
    match status {
        Some(status) if message.is_empty() => format!("the script returned {status}"),
        Some(status) => format!("the script returned {status}: {message}"),
        None => message.to_owned(),
    }
}
