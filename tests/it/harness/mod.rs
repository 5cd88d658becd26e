//! Runs the built `heka` in a folder of its own, and waits for what it should do.
//!
//! - [`Place`]: a temporary folder with a configuration; an engine may be started in it again
//! - [`Engine`]: a running process; what it writes is kept, and may be waited for
//! - [`server::Server`]: a real program beside it
//!
//! Configurations listen on port 0; [`Engine::address`] says which port it became. Waiting has a
//! deadline and ends early when the process does. A process is ended by its own id, at the latest
//! when its [`Engine`] is dropped.

pub(crate) mod carbon;
pub(crate) mod cassandra;
pub(crate) mod catalog;
pub(crate) mod http;
pub(crate) mod moments;
mod output;
pub(crate) mod server;
pub(crate) mod users;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use anyhow::Context;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use output::Output;

/// How long anything may take. Long, because machines that run tests are busy.
const DEADLINE: Duration = Duration::from_mins(1);
/// How often a condition is looked at while the process says nothing.
const LOOK: Duration = Duration::from_millis(20);

/// A folder with a configuration, for one engine at a time.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A new folder with this configuration; `DIR` in it becomes the folder's path. The engine
    /// keeps its state there too.
    pub(crate) fn new(config: &str) -> anyhow::Result<Place> {
        let place = Place { folder: folder()? };
        place.configure(config)?;
        Ok(place)
    }

    /// Writes another configuration.
    pub(crate) fn configure(&self, config: &str) -> anyhow::Result<()> {
        let folder = self.folder.path().to_string_lossy();
        let hekad = if config.contains("[hekad]") {
            String::new()
        } else {
            "[hekad]\nbase_dir = \"DIR/state\"\n[hekad.admin]\naddress = \"127.0.0.1:0\"\n\n"
                .to_owned()
        };
        self.write("heka.toml", &(hekad + config).replace("DIR", &folder))
    }

    /// The path of something in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder.
    pub(crate) fn write(&self, name: &str, contents: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        std::fs::write(&path, contents).with_context(|| path.display().to_string())
    }

    /// What is in a file of the folder; nothing where there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Starts `heka run` with the configuration of this place.
    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<Engine> {
        self.run_with(arguments, "")
    }

    /// As [`Place::run`], with this on its stdin.
    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &str) -> anyhow::Result<Engine> {
        let config = self.path("heka.toml");
        let mut command = self.command(&["run"]);
        command.arg(config).args(arguments);
        Engine::start(command, stdin)
    }

    /// As [`Place::run`], with these variables in its environment.
    pub(crate) fn run_where(&self, environment: &[(&str, &str)]) -> anyhow::Result<Engine> {
        let mut command = self.command(&["run"]);
        command.arg(self.path("heka.toml")).envs(environment.iter().copied());
        Engine::start(command, "")
    }

    /// As [`Place::run`], by another program that gets the command as its last arguments.
    pub(crate) fn run_under(&self, program: &[&str], arguments: &[&str]) -> anyhow::Result<Engine> {
        let own = self.command(&["run"]);
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(own.get_program()).args(own.get_args());
        command.arg(self.path("heka.toml")).args(arguments).current_dir(self.path(""));
        command.env("XDG_STATE_HOME", self.path("state")).env("NO_COLOR", "1");
        Engine::start(command, "")
    }

    /// Starts any subcommand.
    pub(crate) fn start(&self, arguments: &[&str]) -> anyhow::Result<Engine> {
        Engine::start(self.command(arguments), "")
    }

    /// Runs any subcommand to its end, with this on its stdin.
    pub(crate) fn heka(&self, arguments: &[&str], stdin: &str) -> anyhow::Result<Finished> {
        Engine::start(self.command(arguments), stdin)?.finish()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.folder.path());
        command.env("XDG_STATE_HOME", self.path("state")).env("NO_COLOR", "1");
        command
    }
}

/// A new folder whose name holds no capital letter: a random one would now and then hold a word
/// that tests replace in configurations, which hold the folder's path already.
fn folder() -> anyhow::Result<tempfile::TempDir> {
    static FOLDERS: AtomicU32 = AtomicU32::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::UNIX_EPOCH.elapsed()?.as_micros();
    let name = format!("heka-{now}-{number}");
    Ok(tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir()?)
}

/// The binary under test: the one of this build, or another that `HEKA_BINARY` names.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let other = std::env::var_os("HEKA_BINARY").map(PathBuf::from);
        other.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_heka")))
    })
}

/// Whether that is a debug build, as far as can be known.
pub(crate) fn is_debug() -> bool {
    cfg!(debug_assertions) && std::env::var_os("HEKA_BINARY").is_none()
}

/// A running process.
pub(crate) struct Engine {
    child: Child,
    output: Output,
}

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// All it wrote to stdout.
    pub(crate) stdout: String,
    /// All it wrote to stderr.
    pub(crate) stderr: String,
}

impl Finished {
    /// Fails unless it ended with this exit code.
    pub(crate) fn expect_code(self, code: i32) -> anyhow::Result<Finished> {
        anyhow::ensure!(
            self.status.code() == Some(code),
            "ended with {}, not {code}; stderr:\n{}\nstdout:\n{}",
            self.status,
            self.stderr,
            self.stdout
        );
        Ok(self)
    }
}

impl Engine {
    fn start(mut command: Command, stdin: &str) -> anyhow::Result<Engine> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut input = child.stdin.take().context("stdin is piped")?;
        let stdin = stdin.to_owned();
        std::thread::spawn(move || input.write_all(stdin.as_bytes()));
        let output = Output::of(&mut child)?;
        Ok(Engine { child, output })
    }

    /// What it has written to stdout so far.
    pub(crate) fn stdout(&self) -> String {
        self.output.stdout()
    }

    /// What it has written to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.output.stderr()
    }

    /// Waits until `condition` gives something.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        mut condition: impl FnMut(&Engine) -> Option<T>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        loop {
            if let Some(answer) = condition(self) {
                return Ok(answer);
            }
            let ended = self.child.try_wait()?;
            // What it did last may only now be seen.
            if let (Some(_), Some(answer)) = (ended, condition(self)) {
                return Ok(answer);
            }
            if ended.is_some() || started.elapsed() > DEADLINE {
                let state = ended.map_or("still running".to_owned(), |status| status.to_string());
                anyhow::bail!(
                    "waited in vain for {what} ({state}); stderr:\n{}\nstdout:\n{}",
                    self.stderr(),
                    self.stdout()
                );
            }
            self.output.wait(LOOK);
        }
    }

    /// Waits until an input says on which address it listens.
    pub(crate) fn address(&mut self, plugin: &str) -> anyhow::Result<SocketAddr> {
        self.wait_for(&format!("{plugin} to listen"), |engine| {
            let stderr = engine.stderr();
            let says = |line: &&str| line.contains("listening") || line.contains("is open");
            let line = stderr.lines().filter(says).find(|line| line.contains(plugin))?;
            let words =
                line.split(|letter: char| letter.is_whitespace() || "=\",{}".contains(letter));
            words.into_iter().find_map(|word| word.parse().ok())
        })
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = Pid::from_raw(i32::try_from(self.child.id())?);
        Ok(nix::sys::signal::kill(id, signal)?)
    }

    /// Asks it to stop once it listens for signals, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<Finished> {
        self.wait_for("the engine to start", |engine| {
            engine.stderr().contains("heka has started").then_some(())
        })?;
        self.signal(Signal::SIGTERM)?;
        self.finish()
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(self) -> anyhow::Result<Finished> {
        self.signal(Signal::SIGKILL)?;
        self.finish()
    }

    /// Waits until it ends by itself.
    pub(crate) fn finish(mut self) -> anyhow::Result<Finished> {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            anyhow::ensure!(
                started.elapsed() < DEADLINE,
                "does not end; stderr:\n{}\nstdout:\n{}",
                self.stderr(),
                self.stdout()
            );
            self.output.wait(LOOK);
        };
        self.output.read_to_end();
        Ok(Finished { status, stdout: self.stdout(), stderr: self.stderr() })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
