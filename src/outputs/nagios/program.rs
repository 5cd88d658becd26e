//! A program that reads checks as `send_nsca` does: lines with tabs between the parts.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use anyhow::anyhow;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::Check;
use super::Settings;
use crate::plugin::Failure;

/// As much of what the program says is told, in characters.
const SHOWN: usize = 300;

pub(super) async fn run(
    program: &Path,
    settings: &Settings,
    checks: &[Check],
) -> Result<(), Failure> {
    let shown = program.display();
    let lines: String = checks.iter().map(Check::line).collect();
    let run = async {
        let mut child = Command::new(program)
            .args(&settings.send_nsca_args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {shown}"))?;
        let mut stdin = child.stdin.take().context("stdin is piped")?;
        let write = async move {
            let _ = stdin.write_all(lines.as_bytes()).await;
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        let output = output.with_context(|| format!("cannot run {shown}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        let said: String = String::from_utf8_lossy(&said).trim().chars().take(SHOWN).collect();
        Err(anyhow!("{shown} ended with {}: {said}", output.status))
    };
    let limit = settings.send_nsca_timeout;
    let late = |_| anyhow!("{shown} took more than {limit:?} (`send_nsca_timeout`)");
    let ended = tokio::time::timeout(limit, run).await.map_err(late);
    ended.and_then(|result| result).map_err(Failure::Retry)
}
