//! What a real server is asked by HTTP.

use std::process::Command;

use anyhow::Context;

use crate::harness::Engine;

/// Asks by HTTP; the body of the answer, whatever its status.
pub(super) fn curl(arguments: &[&str]) -> anyhow::Result<String> {
    let output =
        Command::new("curl").args(["-s", "-S", "--max-time", "30"]).args(arguments).output();
    let output = output.context("cannot start curl")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits until an answer holds a text.
pub(super) fn expect_answer(
    engine: &mut Engine,
    arguments: &[&str],
    text: &str,
) -> anyhow::Result<()> {
    let last = std::cell::RefCell::new(String::new());
    let waited = engine.wait_for(text, |_| {
        let answer = curl(arguments).unwrap_or_else(|error| error.to_string());
        let holds = answer.contains(text);
        *last.borrow_mut() = answer;
        holds.then_some(())
    });
    waited.with_context(|| format!("the last answer was {}", last.borrow()))
}
