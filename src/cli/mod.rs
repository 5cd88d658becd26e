//! The command line: one file per subcommand.
//!
//! Exit codes: 0 done; 1 failed at run time; 2 a mistake in usage or configuration; 3 damage found.
//! Results go to stdout, all else to stderr.

mod assignment;
pub mod cat;
pub mod check;
mod configuration;
pub mod filter;
pub mod flood;
pub mod inject;
pub mod journal;
mod link;
pub mod logstreamer;
mod pid_file;
pub mod plugins;
pub mod replay;
pub mod run;
pub mod sandbox;
mod standalone;
pub mod test;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// Collects logs and metrics, analyses them in Lua filters while they flow, raises alerts, and
/// delivers everything.
#[derive(Debug, Parser)]
#[command(name = "heka", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    Run(run::Command),
    Check(check::Command),
    Filter(filter::Command),
    Test(test::Command),
    Replay(replay::Command),
    Cat(cat::Command),
    Journal(journal::Command),
    Inject(inject::Command),
    Flood(flood::Command),
    Logstreamer(logstreamer::Command),
    Plugins(plugins::Command),
    Sandbox(sandbox::Command),
}

/// Does what the arguments of the process say.
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Subcommand::Run(command) => command.run(),
        Subcommand::Check(command) => command.run(),
        Subcommand::Filter(command) => command.run(),
        Subcommand::Test(command) => command.run(),
        Subcommand::Replay(command) => command.run(),
        Subcommand::Cat(command) => command.run(),
        Subcommand::Journal(command) => command.run(),
        Subcommand::Inject(command) => command.run(),
        Subcommand::Flood(command) => command.run(),
        Subcommand::Logstreamer(command) => command.run(),
        Subcommand::Plugins(command) => command.run(),
        Subcommand::Sandbox(command) => command.run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("heka: {error:#}");
        ExitCode::FAILURE
    })
}

/// Writes `text` to stdout; a reader that has gone away is none to complain to.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Tells whether whoever reads the results has gone away.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        kind == Some(std::io::ErrorKind::BrokenPipe)
    })
}
