//! What somebody sees who runs the engine for the first time.

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![test("quickstart::tells_how_the_machine_is", tells_how_the_machine_is)]
}

/// The configuration in the binary, as an ordinary user has it: state below the home folder.
fn tells_how_the_machine_is() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let state = place.path("state");
    let mut engine = place.start(&["run", "--base-dir", &state.to_string_lossy()])?;
    engine.wait_for("a line on stdout", |engine| {
        let stdout = engine.stdout();
        let line = stdout.lines().find(|line| line.contains("disks read"))?;
        (line.contains(" load ") && line.contains("% of")).then_some(())
    })?;
    let finished = engine.stop()?.expect_code(0)?;
    anyhow::ensure!(!finished.stderr.contains("ERROR"), "{}", finished.stderr);
    Ok(())
}
