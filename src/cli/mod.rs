//! One file per subcommand.

pub mod cat;
pub mod flood;
pub mod inject;
pub mod plugins;

use std::io::Write;

/// Writes `text` to stdout; a reader that has gone away is none to complain to.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
