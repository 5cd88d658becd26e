//! The engine that is measured: a process of its own, whose CPU time the system tells.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(30);
/// How often its numbers are asked for.
const LOOK: Duration = Duration::from_millis(100);

/// A running engine, ended when it is dropped.
pub(crate) struct Engine {
    child: Child,
    told: Arc<Mutex<String>>,
    said: Arc<Mutex<String>>,
}

impl Engine {
    /// Starts one with these sections, from an empty state in the folder.
    pub(crate) fn start(bin: &Path, folder: &Path, config: &str) -> anyhow::Result<Engine> {
        let file = folder.join("heka.toml");
        let state = folder.join("state");
        let own = format!(
            "[hekad]\nbase_dir = '{}'\n[hekad.admin]\naddress = '127.0.0.1:0'\n",
            state.display()
        );
        std::fs::write(&file, own + config)?;
        let mut command = Command::new(bin);
        command.arg("run").arg(&file).env("NO_COLOR", "1").stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("it is piped")?;
        let stderr = child.stderr.take().context("it is piped")?;
        let (told, said) = (collect(stderr), collect(stdout));
        Ok(Engine { child, told, said })
    }

    /// What it has written to stdout so far.
    pub(crate) fn stdout(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a part says on which address it listens.
    pub(crate) fn address(&mut self, part: &str) -> anyhow::Result<SocketAddr> {
        self.wait_for(&format!("{part} to listen"), |engine| {
            let told = engine.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let says = |line: &&str| line.contains("listening") || line.contains("is open");
            let line = told.lines().filter(says).find(|line| line.contains(part))?;
            let mut words =
                line.split(|letter: char| letter.is_whitespace() || "=\",".contains(letter));
            words.find_map(|word| word.parse().ok())
        })
    }

    /// Waits until an output has sent so many records.
    pub(crate) fn wait_until_sent(&mut self, output: &str, count: u64) -> anyhow::Result<()> {
        let admin = self.address("admin")?;
        let row = format!("heka_output_sent_total{{plugin=\"{output}\"}} ");
        self.wait_for("everything to be sent", |_| {
            let page = page(admin).ok()?;
            let sent = page.lines().find_map(|line| line.strip_prefix(&row))?;
            (sent.trim().parse::<f64>().ok()? >= count as f64).then_some(())
        })
    }

    /// Waits until there is something.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        look: impl Fn(&Engine) -> Option<T>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            let ended = self.child.try_wait()?;
            let told = || self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
            anyhow::ensure!(ended.is_none(), "it ended, waiting for {what}:\n{}", told());
            anyhow::ensure!(started.elapsed() < PATIENCE, "waited for {what}:\n{}", told());
            std::thread::sleep(LOOK);
        }
    }

    /// The seconds of CPU it has taken so far, user and system.
    pub(crate) fn cpu(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Behind the name, which may hold spaces: the 12th and 13th from the state on.
        let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
        let numbers: Vec<&str> = rest.split_whitespace().collect();
        let ticks: u64 = numbers
            .get(11..13)
            .context("stat is short")?
            .iter()
            .try_fold(0, |sum, number| number.parse::<u64>().map(|number| sum + number))?;
        Ok(ticks as f64 / 100.0)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let all = Arc::new(Mutex::new(String::new()));
    let own = Arc::clone(&all);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut all = own.lock().unwrap_or_else(PoisonError::into_inner);
            all.push_str(&line);
            all.push('\n');
        }
    });
    all
}

/// The page of numbers.
fn page(admin: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(admin)?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: heka\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
