//! A plugin of Nagios, run again and again.

mod perfdata;

use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::ensure;
use async_trait::async_trait;
use nix::sys::signal::Signal;
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncReadExt;

use self::perfdata::Number;
use self::perfdata::Printed;
use super::daemon::Health;
use super::daemon::Report;
use crate::message::Builder;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::stdx::duration;

/// As much is read of what a plugin prints, in bytes.
const MAX_PRINTED: u64 = 256 * 1024;
/// Where plugins lie that are named without a path.
const FOLDERS: [&str; 4] = [
    "/usr/lib/nagios/plugins",
    "/usr/lib64/nagios/plugins",
    "/usr/libexec/monitoring-plugins",
    "/usr/local/nagios/libexec",
];

/// Runs a plugin of Nagios at once and then every `ticker_interval`: a message of the type
/// `stats.nagios` with what it prints as payload, the fields `service`, `status` (0 to 3), `state` (`OK`,
/// `WARNING`, `CRITICAL`, `UNKNOWN`), `long_output` and `duration`, and the performance data: `perf.LABEL`
/// with the unit of the plugin, `perf.LABEL.warn`, `.crit`, `.min`, `.max`, and `.rate` of what is
/// counted. A service that becomes critical or unknown is told of once as `daemon.down`, and once as
/// `daemon.up` when it is back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NagiosPluginInput {
    /// The plugin: a path, or a name to look for where plugins lie and in `PATH`.
    bin: PathBuf,
    /// Its arguments.
    #[serde(default)]
    args: Vec<String>,
    /// What it checks; the name of the section where it is empty.
    #[serde(default)]
    service: String,
    /// Its environment beside that of the engine, `NAME=VALUE` each.
    #[serde(default)]
    env: Vec<String>,
    /// The folder it runs in; that of the engine where it is left out.
    #[serde(default)]
    directory: Option<PathBuf>,
    /// How long it may take until it is killed, with all it has started. In seconds.
    #[serde(default = "timeout", deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    timeout: Duration,
}

fn timeout() -> Duration {
    Duration::from_secs(30)
}

impl Described for NagiosPluginInput {
    const NAME: &'static str = "NagiosPluginInput";
    const ABOUT: &'static str = "Runs a plugin of Nagios and reads its status and numbers.";
    const EXAMPLE: &'static str = "[disk]\ntype = \"NagiosPluginInput\"\nbin = \"check_disk\"\n\
        args = [\"-w\", \"20%\", \"-c\", \"10%\", \"-p\", \"/\"]\nticker_interval = 60\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 60, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.bin.as_os_str().is_empty(), "`bin` is empty: which plugin is to run?");
        ensure!(!self.timeout.is_zero(), "`timeout` has to be above 0");
        ensure!(
            self.env.iter().all(|pair| pair.contains('=')),
            "`env` is to have `NAME=VALUE` each"
        );
        Ok(())
    }
}

#[async_trait]
impl Input for NagiosPluginInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        ensure!(!cx.ticker_interval.is_zero(), "`ticker_interval` has to be above 0");
        let service =
            if self.service.is_empty() { cx.name.to_string() } else { self.service.clone() };
        let mut report = Report::new(cx.origin("stats"));
        let mut health = Health::new(&cx, "service", service.clone());
        let mut stream = health.stream(&cx).await?;
        let mut ticks = tokio::time::interval(cx.ticker_interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cx.stopping.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            report.start();
            let started = Instant::now();
            let ran = tokio::select! {
                () = cx.stopping.cancelled() => return Ok(()),
                ran = self.run_once() => ran,
            };
            let result = ran.unwrap_or_else(|error| (3, unknown(&error)));
            let bad = (result.0 >= 2).then(|| anyhow!("{}: {}", state(result.0), result.1.text));
            health.tell(bad.as_ref(), &mut report, &mut stream).await?;
            put(&service, &result, started.elapsed(), &mut report);
            for batch in report.take() {
                stream.messages(batch).await?;
            }
        }
    }
}

impl NagiosPluginInput {
    /// Runs it, and gives its status and what it has printed.
    async fn run_once(&self) -> anyhow::Result<(i32, Printed)> {
        let bin = self.find();
        let mut command = tokio::process::Command::new(&bin);
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs(self.env.iter().filter_map(|pair| pair.split_once('=')));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let mut child = command.kill_on_drop(true).process_group(0).spawn().with_context(|| {
            let folders = FOLDERS.join(", ");
            format!("cannot run {}; plugins are looked for in {folders} and PATH", bin.display())
        })?;
        let group = Group(child.id());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let whole = async {
            let (out, err) = both(read(stdout), read(stderr)).await;
            let ended = child.wait().await.context("cannot wait for the plugin")?;
            anyhow::Ok((ended, out, err))
        };
        let ran = tokio::time::timeout(self.timeout, whole).await;
        let limit = duration::text(self.timeout);
        let (ended, out, err) =
            ran.map_err(|_| anyhow!("{} was killed after {limit}", bin.display()))??;
        // All were waited for: the number of the group may belong to others from now on.
        group.forget();
        let code = ended.code().with_context(|| format!("{} ended with {ended}", bin.display()))?;
        let is_silent = out.trim().is_empty();
        let mut printed = perfdata::read(if is_silent { &err } else { &out });
        match code {
            126 | 127 => printed.text = format!("{} does not run: {}", bin.display(), printed.text),
            _ if printed.text.is_empty() => {
                printed.text = format!("{} has printed nothing", bin.display());
            }
            _ => {}
        }
        Ok((if (0..=3).contains(&code) { code } else { 3 }, printed))
    }

    /// The path of the plugin; its name where it lies in no folder of plugins.
    fn find(&self) -> PathBuf {
        let is_name = self.bin.components().count() == 1 && self.bin.is_relative();
        let mut places = FOLDERS.iter().map(|folder| Path::new(folder).join(&self.bin));
        let found = places.find(|path| is_name && path.is_file());
        found.unwrap_or_else(|| self.bin.clone())
    }
}

/// What both give; a plugin that prints much on one must not wait for the other.
async fn both(
    out: impl Future<Output = String>,
    err: impl Future<Output = String>,
) -> (String, String) {
    tokio::join!(out, err)
}

/// The processes of a plugin: what is left of them is killed.
struct Group(Option<u32>);

impl Group {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.and_then(|id| i32::try_from(id).ok()) {
            // Nobody may be left in it.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

async fn read(from: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        // What came before an error is what there is.
        let _ = (&mut from).take(MAX_PRINTED).read_to_end(&mut bytes).await;
        // A plugin that prints more may not wait for a reader.
        let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn unknown(error: &anyhow::Error) -> Printed {
    Printed { text: format!("{error:#}"), ..Printed::default() }
}

fn state(status: i32) -> &'static str {
    match status {
        0 => "OK",
        1 => "WARNING",
        2 => "CRITICAL",
        _ => "UNKNOWN",
    }
}

fn put(service: &str, (status, printed): &(i32, Printed), took: Duration, report: &mut Report) {
    let rates: Vec<Option<f64>> = printed
        .numbers
        .iter()
        .map(|number| {
            let count = number.value.filter(|_| number.unit == "c")?;
            report.rate(&number.label, count)
        })
        .collect();
    let severity = [6, 4, 2, 3][usize::try_from(*status).unwrap_or(3).min(3)];
    let mut message = report.begin_as("stats.nagios", severity);
    message.payload(printed.text.as_bytes());
    message.string("service", "", service.as_bytes());
    message.integer("status", "", i64::from(*status));
    message.string("state", "", state(*status).as_bytes());
    message.double("duration", "s", took.as_secs_f64());
    if !printed.long_text.is_empty() {
        message.string("long_output", "", printed.long_text.as_bytes());
    }
    for (number, rate) in printed.numbers.iter().zip(rates) {
        put_number(number, rate, &mut message);
    }
    Report::finish(message);
}

fn put_number(number: &Number, rate: Option<f64>, message: &mut Builder<'_>) {
    let name = format!("perf.{}", number.label);
    // Counted since some start: no unit of its own.
    let unit = if number.unit == "c" { "" } else { number.unit.as_str() };
    if let Some(value) = number.value {
        message.double(&name, unit, value);
    }
    if let Some(rate) = rate {
        message.double(&format!("{name}.rate"), "1/s", rate);
    }
    for (end, range) in [("warn", &number.warn), ("crit", &number.crit)] {
        if !range.is_empty() {
            message.string(&format!("{name}.{end}"), "", range.as_bytes());
        }
    }
    for (end, bound) in [("min", number.min), ("max", number.max)] {
        if let Some(bound) = bound {
            message.double(&format!("{name}.{end}"), unit, bound);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::testing::Desk;
    use crate::message::Value;

    fn input(script: &str, more: &str) -> NagiosPluginInput {
        let text = format!("bin = 'sh'\nargs = ['-c', '''{script}''']\n{more}");
        let input: NagiosPluginInput = toml::from_str(&text).unwrap();
        input.check().unwrap();
        input
    }

    /// The messages of the first run.
    async fn first(input: NagiosPluginInput, records: usize) -> (Desk, Vec<(String, String)>) {
        let mut desk = Desk::new("disk");
        desk.ticker_interval = Duration::from_mins(5);
        let running = tokio::spawn(Box::new(input).run(desk.context()));
        let delivered = desk.wait_for(records).await;
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
        let kind = |it: &[u8]| String::from_utf8(it.to_vec()).unwrap();
        let told = delivered.iter().map(|it| (kind(&it.origin.message_type), it.text.clone()));
        (desk.clone(), told.collect())
    }

    #[tokio::test]
    async fn status_and_numbers_become_fields() {
        let (desk, told) = first(input("echo 'WARN | a=5MB;3;9;0;10 n=7c'; exit 1", ""), 1).await;
        assert_eq!(told, [("stats.nagios".to_owned(), "WARN".to_owned())]);
        let batches = desk.wait_for_messages(1).await;
        let message = batches[0].message(0);
        assert_eq!(message.severity(), 4);
        for (name, unit, expected) in [
            ("service", "", Value::String(b"disk")),
            ("status", "", Value::Integer(1)),
            ("state", "", Value::String(b"WARNING")),
            ("perf.a", "MB", Value::Double(5.0)),
            ("perf.a.warn", "", Value::String(b"3")),
            ("perf.a.crit", "", Value::String(b"9")),
            ("perf.a.max", "MB", Value::Double(10.0)),
            ("perf.n", "", Value::Double(7.0)),
        ] {
            let field = message.field(name.as_bytes(), 0).unwrap();
            assert_eq!(field.only_value(), Some(expected), "{name}");
            assert_eq!(field.representation(), unit.as_bytes(), "{name}");
        }
    }

    #[tokio::test]
    async fn what_is_critical_or_does_not_run_is_down() {
        let down =
            |text: &str| ("daemon.down".to_owned(), format!("service at disk is down: {text}"));
        let (_, told) = first(input("echo bad; exit 2", ""), 2).await;
        assert_eq!(told[0], down("CRITICAL: bad"));
        assert_eq!(told[1].1, "bad");
        let (_, told) = first(input("sleep 60 & sleep 60", "timeout = '50ms'"), 2).await;
        assert_eq!(told[0], down("UNKNOWN: sh was killed after 50ms"));
        let (_, told) = first(input("echo why >&2; exit 77", ""), 2).await;
        assert_eq!(told[0], down("UNKNOWN: why"));
        let missing: NagiosPluginInput = toml::from_str("bin = 'check_nothing'").unwrap();
        let (_, told) = first(missing, 2).await;
        let start =
            "service at disk is down: UNKNOWN: cannot run check_nothing; plugins are looked";
        assert!(told[0].1.starts_with(start), "{told:?}");
    }
}
