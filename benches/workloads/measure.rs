//! What a process costs.
//!
//! The bench starts itself once more to measure: that process has one child only, so what the
//! system counts for its children is what the child took.

use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use nix::sys::resource::UsageWho;
use nix::sys::resource::getrusage;
use nix::sys::time::TimeValLike;
use serde::Deserialize;
use serde::Serialize;

/// The argument with which the bench starts itself to measure.
pub(crate) const MEASURE: &str = "--measure-into";
/// A process that runs longer is ended.
const LONGEST: Duration = Duration::from_mins(15);

/// What a process took.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Cost {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// User and system seconds of all its threads.
    pub(crate) cpu: f64,
    /// The most memory that was resident, in bytes.
    pub(crate) peak_memory: u64,
    /// How it ended.
    pub(crate) exit_code: Option<i32>,
}

/// Starts `command` under measurement; [`Cost::read`] gives what it took.
pub(crate) fn start(command: &[&str], result: &Path, stdout: &Path) -> anyhow::Result<Child> {
    let errors = if stdout == Path::new("/dev/null") {
        stdout.to_path_buf()
    } else {
        stdout.with_extension("stderr")
    };
    Command::new(std::env::current_exe()?)
        .arg(MEASURE)
        .arg(result)
        .args(command)
        .stdin(std::process::Stdio::null())
        .stdout(std::fs::File::create(stdout)?)
        .stderr(std::fs::File::create(errors)?)
        .spawn()
        .with_context(|| format!("cannot measure {command:?}"))
}

impl Cost {
    /// Waits for a measured process, and reads what it took.
    pub(crate) fn read(mut measured: Child, result: &Path) -> anyhow::Result<Cost> {
        measured.wait()?;
        let text = std::fs::read_to_string(result).context("the measured process did not start")?;
        Ok(serde_json::from_str(&text)?)
    }
}

impl Cost {
    /// What both took together, running at the same time.
    pub(crate) fn beside(&self, other: &Cost) -> Cost {
        let failed = [self.exit_code, other.exit_code].into_iter().find(|code| *code != Some(0));
        Cost {
            wall: self.wall.max(other.wall),
            cpu: self.cpu + other.cpu,
            peak_memory: self.peak_memory.max(other.peak_memory),
            exit_code: failed.unwrap_or(Some(0)),
        }
    }
}

/// Runs what stands behind the path of the result in `arguments`, and writes down what it took.
pub(crate) fn measure(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let [result, program, arguments @ ..] = arguments else {
        anyhow::bail!("{MEASURE} needs a path and a command");
    };
    let started = Instant::now();
    let mut child = Command::new(program).args(arguments).spawn()?;
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
    std::thread::spawn(move || {
        std::thread::sleep(LONGEST);
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL)
    });
    let status = child.wait()?;
    let wall = started.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
    let cost = Cost {
        wall,
        cpu: microseconds as f64 / 1e6,
        peak_memory: u64::try_from(usage.max_rss())? * 1024,
        exit_code: status.code(),
    };
    std::fs::write(result, serde_json::to_string(&cost)?)?;
    Ok(ExitCode::SUCCESS)
}
