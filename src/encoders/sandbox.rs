//! A Lua script that turns messages into bytes.

use std::path::PathBuf;

use anyhow::Context;
use anyhow::anyhow;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::Message;
use crate::plugin::Described;
use crate::plugin::Encoder;
use crate::plugin::EncoderContext;
use crate::plugin::Encoding;
use crate::plugin::Engine;
use crate::plugin::States;
use crate::sandbox::Role;
use crate::sandbox::Sandbox;
use crate::sandbox::Settings;
use crate::sandbox::Spec;
use crate::sandbox::Stop;
use crate::sandbox::Trouble;

/// Encodes messages with a Lua script, under limits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct SandboxEncoder(Settings);

impl Described for SandboxEncoder {
    const NAME: &'static str = "SandboxEncoder";
    const ABOUT: &'static str = "Encodes messages with a Lua script.";
    const EXAMPLE: &'static str = "[SandboxEncoder]\nfilename = \"lua_encoders/alert.lua\"\n";
}

impl Encoder for SandboxEncoder {
    fn start(&self, cx: &EncoderContext<'_>) -> anyhow::Result<Box<dyn Encoding>> {
        let mut spec = self.0.spec(cx.name, Role::Encoder, &cx.engine.share_dir)?;
        spec.hostname = cx.engine.hostname.to_string();
        spec.pid = cx.engine.pid;
        spec.limits.max_message_loops = cx.engine.max_message_loops;
        let sandbox = Sandbox::load(&spec).context("cannot load the script")?;
        Ok(Box::new(Script { sandbox, spec, keeps_state: self.0.preserve_data }))
    }

    fn files(&self, engine: &Engine) -> Vec<PathBuf> {
        self.0.files(&engine.share_dir)
    }

    fn version(&self, engine: &Engine) -> anyhow::Result<Vec<u8>> {
        Ok(self.0.version(&engine.share_dir)?)
    }
}

struct Script {
    sandbox: Sandbox,
    /// What the script is loaded from again when a limit has left it half changed.
    spec: Spec,
    keeps_state: bool,
}

impl Encoding for Script {
    fn encode(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let error = match self.sandbox.encode(message, out) {
            Ok(is_wanted) => return Ok(is_wanted),
            Err(Trouble::Failed(failure)) => match failure.status {
                Some(status) => anyhow!("the script returned {status}: {}", failure.message),
                None => anyhow!("{}", failure.message).context(failure.traceback),
            },
            Err(Trouble::Stopped(Stop::Terminated { reason, .. })) => {
                anyhow!("the script gave up: {reason}")
            }
            Err(Trouble::Stopped(Stop::Limit { message, traceback, .. })) => {
                self.sandbox = Sandbox::load(&self.spec).context("cannot load the script again")?;
                anyhow!("{message}").context(traceback)
            }
        };
        Err(error)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::message::Batch;

    fn start(script: &str, settings: &str) -> Box<dyn Encoding> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script.lua");
        std::fs::write(&path, script).unwrap();
        let text = format!("filename = '{}'\n{settings}", path.display());
        let encoder: SandboxEncoder = toml::from_str(&text).unwrap();
        let engine = Engine {
            hostname: Arc::from("host"),
            pid: 42,
            base_dir: PathBuf::new(),
            share_dir: PathBuf::new(),
            max_message_size: 65_536,
            max_message_loops: 4,
            max_process_inject: 1,
            max_timer_inject: 10,
            memory: Arc::default(),
            metrics: Arc::default(),
        };
        encoder.start(&EncoderContext { name: "encoder", engine: &engine }).unwrap()
    }

    fn encode(encoding: &mut dyn Encoding, payload: &str) -> anyhow::Result<Option<String>> {
        let mut batch = Batch::new();
        let mut builder = batch.begin();
        builder.payload(payload.as_bytes());
        builder.finish()?;
        let mut out = Vec::new();
        let is_wanted = encoding.encode(&batch.message(0), &mut out)?;
        Ok(is_wanted.then(|| String::from_utf8_lossy(&out).into_owned()))
    }

    #[test]
    fn a_script_gives_what_it_injects() {
        let mut encoding = start(
            "function process_message()\n\
               local text = read_message('Payload')\n\
               if text == 'nothing' then return -2 end\n\
               if text == 'bad' then return -1, 'no good' end\n\
               if text == 'throw' then error('it threw') end\n\
               inject_payload('txt', '', read_config('prefix'), text, '\\n')\n\
               return 0\n\
             end",
            "[config]\nprefix = '> '",
        );
        assert_eq!(encode(&mut *encoding, "line").unwrap().unwrap(), "> line\n");
        assert_eq!(encode(&mut *encoding, "nothing").unwrap(), None);
        let error = encode(&mut *encoding, "bad").unwrap_err();
        assert_eq!(error.to_string(), "the script returned -1: no good");
        let error = encode(&mut *encoding, "throw").unwrap_err();
        assert!(format!("{error:#}").contains("script.lua:5: it threw"), "{error:#}");
    }

    #[test]
    fn a_limit_ends_one_message_and_the_next_is_encoded() {
        let mut encoding = start(
            "local n = 0\n\
             function process_message()\n\
               n = n + 1\n\
               while read_message('Payload') == 'loop' do end\n\
               inject_payload('txt', '', n)\n\
               return 0\n\
             end",
            "cpu_limit = '20ms'",
        );
        assert_eq!(encode(&mut *encoding, "a").unwrap().unwrap(), "1");
        assert!(encode(&mut *encoding, "loop").is_err());
        assert_eq!(encode(&mut *encoding, "b").unwrap().unwrap(), "1");
    }
}
