//! A Lua script that analyses messages.

use std::time::Duration;

use anyhow::Context;
use schemars::JsonSchema;
use serde::Deserialize;
use smallvec::SmallVec;

use crate::message::Batch;
use crate::plugin::Described;
use crate::plugin::Engine;
use crate::plugin::Filter;
use crate::plugin::FilterCall;
use crate::plugin::FilterContext;
use crate::plugin::FilterFailure;
use crate::plugin::Filtering;
use crate::plugin::Portion;
use crate::plugin::Stop;
use crate::plugin::Usage;
use crate::sandbox;
use crate::sandbox::EntryTime;
use crate::sandbox::Role;
use crate::sandbox::Sandbox;
use crate::sandbox::Settings;
use crate::sandbox::Trouble;
use crate::stdx::embedded::Source;

/// Runs a Lua script over messages, under limits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct SandboxFilter(Settings);

impl Described for SandboxFilter {
    const NAME: &'static str = "SandboxFilter";
    const ABOUT: &'static str = "Analyses messages with a Lua script.";
    const EXAMPLE: &'static str = "[SandboxFilter]\nmessage_matcher = \"Type == 'nginx.access'\"\n\
        filename = \"lua_filters/http_status.lua\"\nticker_interval = 60\n\n\
        [SandboxFilter.config]\nsec_per_row = 60\n";
}

impl Filter for SandboxFilter {
    fn start(&self, cx: &FilterContext<'_>) -> anyhow::Result<Box<dyn Filtering>> {
        let mut spec = self.0.spec(cx.name, Role::Filter, &cx.engine.share_dir)?;
        spec.hostname = cx.engine.hostname.to_string();
        spec.pid = cx.engine.pid;
        spec.limits.max_process_inject = cx.engine.max_process_inject;
        spec.limits.max_timer_inject = cx.engine.max_timer_inject;
        spec.limits.max_message_loops = cx.engine.max_message_loops;
        let sandbox = Sandbox::load(&spec).context("cannot load the script")?;
        Ok(Box::new(Script {
            sandbox,
            cpu_limit: spec.limits.cpu,
            calls_on_end: self.0.timer_event_on_shutdown,
        }))
    }

    fn files(&self, engine: &Engine) -> Vec<std::path::PathBuf> {
        self.0.files(&engine.share_dir)
    }

    fn sources(&self, engine: &Engine) -> anyhow::Result<Vec<Source>> {
        Ok(self.0.sources(&engine.share_dir)?)
    }

    fn pin(&self, sources: Vec<Source>, engine: &Engine) {
        self.0.pin(sources, &engine.share_dir);
    }

    fn is_shadowed(&self) -> bool {
        self.0.shadow
    }

    fn max_failures(&self) -> Option<u32> {
        Some(self.0.max_failures)
    }

    fn keeps_state(&self) -> bool {
        self.0.preserve_data
    }
}

struct Script {
    sandbox: Sandbox,
    cpu_limit: Duration,
    calls_on_end: bool,
}

impl Filtering for Script {
    fn arrive(&mut self) {
        self.sandbox.arrive();
    }

    fn process(
        &mut self,
        batch: &Batch,
        matched: &[u16],
        call: &mut FilterCall<'_>,
    ) -> Result<(), Stop> {
        let now = EntryTime { position: call.entry, ns: call.time };
        self.run(&[sandbox::Portion { now, batch, matched }], call).1
    }

    fn process_portions(
        &mut self,
        portions: &[Portion<'_>],
        call: &mut FilterCall<'_>,
    ) -> (usize, Result<(), Stop>) {
        let told = portions.iter().map(|portion| sandbox::Portion {
            now: EntryTime { position: portion.entry, ns: portion.time },
            batch: portion.batch,
            matched: portion.matched,
        });
        let portions: SmallVec<[sandbox::Portion<'_>; 16]> = told.collect();
        self.run(&portions, call)
    }

    fn timer(&mut self, call: &mut FilterCall<'_>) -> Result<(), Stop> {
        self.timer_event(call, false)
    }

    fn shut_down(&mut self, call: &mut FilterCall<'_>) -> Result<(), Stop> {
        if self.calls_on_end { self.timer_event(call, true) } else { Ok(()) }
    }

    fn snapshot(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(Some(self.sandbox.snapshot()?))
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<Vec<String>> {
        let restored = self.sandbox.restore(state)?;
        Ok(if restored.is_skipped {
            vec!["anything, for _PRESERVATION_VERSION is another".to_owned()]
        } else {
            restored.kept_in_part
        })
    }

    fn widen(&mut self, factor: u32) {
        self.sandbox.limit_cpu(self.cpu_limit.saturating_mul(factor));
    }

    fn begin(&mut self) {
        self.sandbox.begin_calls();
    }

    fn end(&mut self) {
        self.sandbox.end_calls();
    }

    fn usage(&mut self) -> Usage {
        let used = self.sandbox.usage();
        Usage {
            memory: used.memory as u64,
            max_memory: used.max_memory as u64,
            max_output: used.max_output as u64,
        }
    }
}

impl Script {
    fn run(
        &mut self,
        portions: &[sandbox::Portion<'_>],
        call: &mut FilterCall<'_>,
    ) -> (usize, Result<(), Stop>) {
        let on_failure = &mut *call.on_failure;
        let mut tell = |failure| on_failure(told(failure));
        let processed = self.sandbox.process_portions(portions, call.out, &mut tell);
        (processed.begun, processed.stop.map_or(Ok(()), |stop| Err(stopped(stop))))
    }

    fn timer_event(&mut self, call: &mut FilterCall<'_>, is_shutdown: bool) -> Result<(), Stop> {
        let now = EntryTime { position: call.entry, ns: call.time };
        let result = self.sandbox.timer(call.time, now, is_shutdown, call.out);
        match result {
            Ok(()) => Ok(()),
            Err(Trouble::Failed(failure)) => {
                (call.on_failure)(told(failure));
                Ok(())
            }
            Err(Trouble::Stopped(stop)) => Err(stopped(stop)),
        }
    }
}

/// A failure in words: the status where the script returned one, the error and where it was.
fn told(failure: sandbox::Failure) -> FilterFailure {
    let mut reason = match failure.status {
        Some(status) if failure.message.is_empty() => format!("it returned {status}"),
        Some(status) => format!("it returned {status}: {}", failure.message),
        None => failure.message,
    };
    add_traceback(&mut reason, &failure.traceback);
    FilterFailure { message: failure.index, reason }
}

fn stopped(stop: sandbox::Stop) -> Stop {
    match stop {
        sandbox::Stop::Limit { index, message, traceback, .. } => {
            let mut reason = message;
            add_traceback(&mut reason, &traceback);
            Stop::Limit { message: index, reason }
        }
        sandbox::Stop::Terminated { reason, .. } if reason.is_empty() => {
            Stop::Ended { reason: "it returned a status above zero".to_owned() }
        }
        sandbox::Stop::Terminated { reason, .. } => Stop::Ended { reason },
    }
}

fn add_traceback(reason: &mut String, traceback: &str) {
    if !traceback.is_empty() {
        reason.push('\n');
        reason.push_str(traceback.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::testing;

    /// Starts a filter with this script and further settings.
    fn start(script: &str, settings: &str) -> Box<dyn Filtering> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script.lua");
        std::fs::write(&path, script).unwrap();
        let text = format!("filename = '{}'\n{settings}", path.display());
        let filter: SandboxFilter = toml::from_str(&text).unwrap();
        testing::start(&filter, Duration::from_secs(1))
    }

    fn batch(payloads: &[&str]) -> Batch {
        let mut batch = Batch::new();
        for payload in payloads {
            let mut builder = batch.begin();
            builder.payload(payload.as_bytes());
            builder.finish().unwrap();
        }
        batch
    }

    fn payloads(out: &Batch) -> Vec<String> {
        out.iter().map(|one| String::from_utf8_lossy(one.payload()).into_owned()).collect()
    }

    #[test]
    fn a_script_counts_and_tells_at_the_tick() {
        let mut filter = start(
            "local n = 0\n\
             function process_message() n = n + 1 return 0 end\n\
             function timer_event(ns) inject_payload('txt', 'n', n, ' ', read_config('unit')) end",
            "[config]\nunit = 'lines'",
        );
        let messages = batch(&["a", "b", "c"]);
        let out = testing::call(1, |call| filter.process(&messages, &[0, 2], call).unwrap());
        assert!(out.is_empty());
        let out = testing::call(2, |call| filter.timer(call).unwrap());
        assert_eq!(payloads(&out), ["2 lines"]);
        assert_eq!(out.message(0).logger(), b"filter");
        assert!(filter.usage().memory > 0);
    }

    #[test]
    fn failures_are_told_and_limits_stop() {
        let mut filter = start(
            "function process_message()\n\
               local text = read_message('Payload')\n\
               if text == 'throw' then error('it threw') end\n\
               if text == 'loop' then while true do end end\n\
               if text == 'end' then return 1, 'it is enough' end\n\
               return -1, 'no good'\n\
             end",
            "cpu_limit = '20ms'",
        );
        let messages = batch(&["throw", "bad", "loop", "end"]);
        let mut failures = Vec::new();
        let mut out = Batch::new();
        let mut process = |matched: &[u16]| {
            filter.process(
                &messages,
                matched,
                &mut FilterCall {
                    entry: 1,
                    time: 1,
                    engine_time: 1,
                    out: &mut out,
                    on_failure: &mut |failure| failures.push(failure),
                },
            )
        };
        assert_eq!(process(&[0, 1]), Ok(()));
        let limit = process(&[2]).unwrap_err();
        assert!(matches!(&limit, Stop::Limit { message: Some(2), .. }), "{limit:?}");
        assert_eq!(process(&[3]), Err(Stop::Ended { reason: "it is enough".to_owned() }));
        assert!(failures[0].reason.contains("script.lua:3: it threw"), "{failures:?}");
        assert_eq!(failures[1].reason, "it returned -1: no good");
    }

    #[test]
    fn a_wider_limit_lets_a_long_call_end() {
        let mut filter = start(
            "function process_message()\n\
               local n = 0\n\
               for i = 1, 5000000 do n = n + i end\n\
               return 0\n\
             end",
            "cpu_limit = '1ms'",
        );
        let messages = batch(&["a"]);
        testing::call(1, |call| {
            assert!(matches!(filter.process(&messages, &[0], call), Err(Stop::Limit { .. })));
            filter.widen(100_000);
            assert_eq!(filter.process(&messages, &[0], call), Ok(()));
        });
    }

    #[test]
    fn a_state_goes_over_to_the_next_start() {
        let script = "local n = 0\n\
            function process_message() n = n + 1 return 0 end\n\
            function timer_event() inject_payload('txt', '', n) end";
        let messages = batch(&["a"; 3]);
        let mut first = start(script, "");
        testing::call(1, |call| first.process(&messages, &[0, 1, 2], call).unwrap());
        let state = first.snapshot().unwrap().unwrap();
        let mut second = start(script, "");
        assert_eq!(second.restore(&state).unwrap(), Vec::<String>::new());
        let out = testing::call(2, |call| second.timer(call).unwrap());
        assert_eq!(payloads(&out), ["3"]);
    }

    #[test]
    fn the_last_timer_is_called_where_the_section_asks_for_it() {
        let script = "function process_message() return 0 end\n\
            function timer_event() inject_payload('txt', '', 'bye') end";
        for (settings, expected) in [("", 0), ("timer_event_on_shutdown = true", 1)] {
            let mut filter = start(script, settings);
            let out = testing::call(1, |call| filter.shut_down(call).unwrap());
            assert_eq!(out.len(), expected);
        }
    }
}
