//! `heka journal`, on journals that an engine has left or is writing.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::Context;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::harness::Engine;
use crate::harness::Place;
use crate::suite::test;

const CONFIG: &str = "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\n\
    file_match = 'log'\ndecoder = ''\n[PayloadEncoder]\n[out]\ntype = 'FileOutput'\n\
    message_matcher = \"Type == 'lines' || Logger == 'lines'\"\npath = 'DIR/out'\n\
    encoder = 'PayloadEncoder'\n";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("journal::stat_tells_what_is_there", stat_tells_what_is_there),
        test("journal::damage_is_named_and_repaired", damage_is_named_and_repaired),
        test("journal::a_damaged_head_is_written_anew", a_damaged_head_is_written_anew),
        test("journal::what_has_no_head_left_is_named", what_has_no_head_left_is_named),
        test("journal::a_part_is_exported", a_part_is_exported),
        test("journal::a_reader_is_forgotten", a_reader_is_forgotten),
        test("journal::an_engine_keeps_its_journal", an_engine_keeps_its_journal),
        test("journal::what_is_no_journal_is_said_so", what_is_no_journal_is_said_so),
    ]
}

/// A place whose journal holds this many lines.
fn filled(lines: usize) -> anyhow::Result<Place> {
    let place = Place::new(CONFIG)?;
    place.write("logs/log", &crate::engine::numbered_lines(lines))?;
    place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    Ok(place)
}

fn json(place: &Place, arguments: &[&str], code: i32) -> anyhow::Result<Value> {
    let finished = place.heka(arguments, "")?.expect_code(code)?;
    Ok(serde_json::from_str(&finished.stdout)?)
}

fn stat_tells_what_is_there() -> anyhow::Result<()> {
    let place = filled(1000)?;
    for path in ["state", "state/journal", "heka.toml"] {
        let stat = json(&place, &["journal", "stat", "--json", path], 0)?;
        anyhow::ensure!(stat["total"]["messages"] == 1000, "{stat}");
        anyhow::ensure!(stat["readers"][0]["name"] == "out", "{stat}");
        anyhow::ensure!(stat["readers"][0]["behind"]["messages"] == 0, "{stat}");
        let size = std::fs::metadata(place.path("logs/log"))?.len();
        anyhow::ensure!(stat["sources"][0]["offset"] == size, "{stat}");
        anyhow::ensure!(stat["damages"] == Value::Array(vec![]), "{stat}");
    }
    let text = place.heka(&["journal", "stat", "state"], "")?.expect_code(0)?.stdout;
    anyhow::ensure!(text.contains("\nmessages  1000\n"), "{text}");
    anyhow::ensure!(text.contains("  out: cursor at "), "{text}");
    place.heka(&["journal", "check", "state"], "")?.expect_code(0)?;
    Ok(())
}

fn segment(place: &Place) -> anyhow::Result<PathBuf> {
    let mut segments: Vec<PathBuf> = std::fs::read_dir(place.path("state/journal"))?
        .map(|file| Ok(file?.path()))
        .collect::<std::io::Result<_>>()?;
    segments.retain(|path| path.extension().is_some_and(|it| it == "segment"));
    segments.sort();
    segments.into_iter().next().context("there is no segment")
}

fn overwrite(place: &Place, at: u64, bytes: &[u8]) -> anyhow::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).open(segment(place)?)?;
    Ok(file.write_all_at(bytes, at)?)
}

fn damage_is_named_and_repaired() -> anyhow::Result<()> {
    let place = filled(5000)?;
    // Somewhere in the body of the second batch.
    overwrite(&place, 4096 + 20_000, &[0xee; 100])?;
    let found = json(&place, &["journal", "check", "--json", "state"], 3)?;
    let damage = &found["damages"][0];
    let first = damage["lost"][0].as_u64().context("something is lost")?;
    anyhow::ensure!(damage["lost"][1].as_u64() == Some(first), "{found}");
    anyhow::ensure!(found["damages"].as_array().is_some_and(|all| all.len() == 1), "{found}");
    let left = found["total"]["messages"].as_u64().context("messages")?;
    anyhow::ensure!((4400..5000).contains(&left), "{found}");
    let before = std::fs::read(segment(&place)?)?;
    let done = place.heka(&["journal", "repair", "state"], "")?.expect_code(0)?.stdout;
    anyhow::ensure!(done.contains(&format!("with entry {first}\n")), "{done}");
    let again = json(&place, &["journal", "check", "--json", "state"], 0)?;
    anyhow::ensure!(again["total"]["messages"].as_u64() == Some(left), "{again}");
    // What was cut out is kept, byte for byte.
    let at = damage["offset"].as_u64().context("offset")?;
    let name = segment(&place)?.file_name().context("name")?.to_string_lossy().into_owned();
    let kept = std::fs::read(place.path(&format!("state/journal/damaged/{name}.{at}")))?;
    let start = usize::try_from(at)?;
    anyhow::ensure!(kept == before[start..start + kept.len()]);
    let done = place.heka(&["journal", "repair", "state"], "")?.expect_code(0)?.stdout;
    anyhow::ensure!(done == "nothing was damaged\n", "{done}");
    // An engine goes on with it.
    place.run(&["--until-done"])?.finish()?.expect_code(0)?;
    Ok(())
}

fn a_damaged_head_is_written_anew() -> anyhow::Result<()> {
    let place = filled(1000)?;
    overwrite(&place, 60, &[0xee; 8])?;
    let found = place.heka(&["journal", "check", "state"], "")?.expect_code(3)?.stdout;
    anyhow::ensure!(found.contains("the head of a segment"), "{found}");
    place.heka(&["journal", "repair", "state"], "")?.expect_code(0)?;
    let stat = json(&place, &["journal", "stat", "--json", "state"], 0)?;
    anyhow::ensure!(stat["total"]["messages"] == 1000, "{stat}");
    Ok(())
}

/// All that is left of the only segment is less than its head.
fn what_has_no_head_left_is_named() -> anyhow::Result<()> {
    for left in [0, 100] {
        let place = filled(100)?;
        std::fs::OpenOptions::new().write(true).open(segment(&place)?)?.set_len(left)?;
        let found = place.heka(&["journal", "check", "state"], "")?.expect_code(3)?.stdout;
        anyhow::ensure!(found.contains("the head of a segment"), "{found}");
        anyhow::ensure!(found.contains("0 entries are sound, one place is damaged"), "{found}");
        let ended = place.run(&["--until-done"])?.finish()?.expect_code(0)?;
        let says = "the head of segment 1 is damaged";
        anyhow::ensure!(ended.stderr.contains(says), "{}", ended.stderr);
        place.heka(&["journal", "check", "state"], "")?;
    }
    Ok(())
}

fn a_part_is_exported() -> anyhow::Result<()> {
    let place = filled(1000)?;
    let lines = place
        .heka(
            &[
                "journal",
                "export",
                "state",
                "--format",
                "json",
                "--match",
                "Payload =~ /line 99\\d/",
            ],
            "",
        )?
        .expect_code(0)?;
    anyhow::ensure!(lines.stdout.lines().count() == 10, "{}", lines.stdout);
    place.heka(&["journal", "export", "state", "--to", "3", "-o", "part"], "")?.expect_code(0)?;
    place.heka(&["journal", "export", "state", "--from", "4", "-o", "rest"], "")?.expect_code(0)?;
    let mut sum = 0;
    for file in ["part", "rest"] {
        let counted = place.heka(&["cat", "--format", "count", file], "")?.expect_code(0)?.stdout;
        let count = counted.split([' ', ',']).nth(1).context("a count")?.parse::<u64>()?;
        anyhow::ensure!(count > 0, "{file}: {counted}");
        sum += count;
    }
    anyhow::ensure!(sum == 1000, "{sum}");
    let late = ["journal", "export", "state", "--from", "2999-01-01T00:00:00Z", "-o", "late"];
    place.heka(&late, "")?.expect_code(0)?;
    anyhow::ensure!(place.read("late").is_empty());
    place.heka(&["journal", "export", "state", "--from", "soon"], "")?.expect_code(2)?;
    Ok(())
}

fn readers(place: &Place) -> anyhow::Result<Vec<Value>> {
    let stat = json(place, &["journal", "stat", "--json", "state"], 0)?;
    Ok(stat["readers"].as_array().cloned().unwrap_or_default())
}

fn a_reader_is_forgotten() -> anyhow::Result<()> {
    let place = filled(10)?;
    anyhow::ensure!(std::fs::read_dir(place.path("state/outputs"))?.count() == 1);
    let none = place.heka(&["journal", "forget", "oute", "state"], "")?.expect_code(1)?;
    anyhow::ensure!(none.stderr.contains("did you mean `out`?"), "{}", none.stderr);
    place.heka(&["journal", "forget", "out", "state"], "")?.expect_code(0)?;
    anyhow::ensure!(readers(&place)?.is_empty());
    anyhow::ensure!(std::fs::read_dir(place.path("state/outputs"))?.count() == 0);
    Ok(())
}

/// Starts the engine and waits until its control socket is there.
fn running(place: &Place) -> anyhow::Result<Engine> {
    let mut engine = place.run(&[])?;
    engine.wait_for("the engine to start", |engine| {
        engine.stderr().contains("heka has started").then_some(())
    })?;
    Ok(engine)
}

fn an_engine_keeps_its_journal() -> anyhow::Result<()> {
    let place = filled(1000)?;
    let engine = running(&place)?;
    let stat = json(&place, &["journal", "stat", "--json", "state"], 0)?;
    anyhow::ensure!(stat["total"]["messages"] == 1000, "{stat}");
    let refused = place.heka(&["journal", "repair", "state"], "")?.expect_code(1)?;
    anyhow::ensure!(refused.stderr.contains("in use by process"), "{}", refused.stderr);
    let refused = place.heka(&["journal", "forget", "out", "state"], "")?.expect_code(1)?;
    anyhow::ensure!(refused.stderr.contains("out is running"), "{}", refused.stderr);
    engine.stop()?.expect_code(0)?;
    // Without its section it is no reader of the engine.
    place.configure(&CONFIG.replace("[out]", "[other]"))?;
    let engine = running(&place)?;
    place.heka(&["journal", "forget", "out", "heka.toml"], "")?.expect_code(0)?;
    engine.stop()?.expect_code(0)?;
    let names: Vec<Value> = readers(&place)?.iter().map(|it| it["name"].clone()).collect();
    anyhow::ensure!(names == ["other"], "{names:?}");
    Ok(())
}

fn what_is_no_journal_is_said_so() -> anyhow::Result<()> {
    let place = Place::new(CONFIG)?;
    let none = place.heka(&["journal", "stat", "heka.toml"], "")?.expect_code(1)?;
    anyhow::ensure!(none.stderr.contains("state/journal"), "{}", none.stderr);
    place.heka(&["journal", "stat", "nowhere"], "")?.expect_code(2)?;
    place.configure("[hekad.journal]\nmax_byte = 1\n")?;
    let mistaken = place.heka(&["journal", "stat", "heka.toml"], "")?.expect_code(2)?;
    anyhow::ensure!(mistaken.stderr.contains("max_bytes"), "{}", mistaken.stderr);
    Ok(())
}
