//! The subcommands that need no running engine.

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("command_line::logstreamer_lists_files_in_order", logstreamer_lists_files_in_order),
        test("command_line::version_is_that_of_the_package", version_is_that_of_the_package),
        test("command_line::plugins_are_listed", plugins_are_listed),
        test("command_line::cat_counts_what_matches", cat_counts_what_matches),
        test("command_line::cat_repairs_a_damaged_stream", cat_repairs_a_damaged_stream),
        test(
            "command_line::cat_shows_where_a_matcher_is_wrong",
            cat_shows_where_a_matcher_is_wrong,
        ),
    ]
}

fn version_is_that_of_the_package() -> anyhow::Result<()> {
    let finished = Place::new("")?.heka(&["--version"], "")?.expect_code(0)?;
    anyhow::ensure!(finished.stdout == format!("heka {}\n", env!("CARGO_PKG_VERSION")));
    Ok(())
}

fn plugins_are_listed() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let list = place.heka(&["plugins"], "")?.expect_code(0)?;
    anyhow::ensure!(list.stdout.contains("\n  TokenSplitter"), "{}", list.stdout);
    let kind = place.heka(&["plugins", "TokenSplitter"], "")?.expect_code(0)?;
    anyhow::ensure!(kind.stdout.contains("  delimiter: text, default"), "{}", kind.stdout);
    let none = place.heka(&["plugins", "TokenSpliter"], "")?.expect_code(2)?;
    anyhow::ensure!(none.stderr.contains("did you mean `TokenSplitter`?"), "{}", none.stderr);
    Ok(())
}

/// A stream of messages whose payloads are the numbers below `count`.
fn stream(count: u8) -> anyhow::Result<Vec<u8>> {
    let mut batch = heka::message::Batch::new();
    for number in 0..count {
        let mut message = batch.begin();
        message.message_type(b"number").payload(&[b'0' + number]).severity(i32::from(number));
        message.finish()?;
    }
    Ok(batch.bytes().to_vec())
}

fn cat_counts_what_matches() -> anyhow::Result<()> {
    let place = Place::new("")?;
    std::fs::write(place.path("stream"), stream(10)?)?;
    let finished = place
        .heka(&["cat", "--format", "count", "--match", "Severity < 3", "stream"], "")?
        .expect_code(0)?;
    anyhow::ensure!(finished.stdout == "Processed: 10, matched: 3 messages\n", "{finished:?}");
    Ok(())
}

fn cat_repairs_a_damaged_stream() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let whole = stream(9)?;
    let mut damaged = whole.clone();
    let middle = whole.len() / 2;
    damaged.splice(middle..middle, b"garbage".iter().copied());
    std::fs::write(place.path("damaged"), damaged)?;
    let finished = place
        .heka(&["cat", "--format", "heka", "--output", "repaired", "damaged"], "")?
        .expect_code(3)?;
    anyhow::ensure!(finished.stderr.contains("damaged: damage at byte "), "{}", finished.stderr);
    let count = place.heka(&["cat", "--format", "count", "repaired"], "")?.expect_code(0)?;
    anyhow::ensure!(count.stdout.starts_with("Processed: 8,"), "{}", count.stdout);
    Ok(())
}

fn cat_shows_where_a_matcher_is_wrong() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write("stream", "")?;
    let finished = place.heka(&["cat", "--match", "Type = 1", "stream"], "")?.expect_code(2)?;
    anyhow::ensure!(finished.stderr.contains("Type = 1"), "{}", finished.stderr);
    anyhow::ensure!(finished.stderr.contains('^'), "no caret: {}", finished.stderr);
    Ok(())
}

fn logstreamer_lists_files_in_order() -> anyhow::Result<()> {
    let place = Place::new(
        "[web]\ntype = \"LogstreamerInput\"\nlog_directory = \"DIR/logs\"\n\
         file_match = 'access\\.log\\.?(?P<Number>\\d*)'\npriority = [\"^Number\"]\n",
    )?;
    for name in ["access.log", "access.log.2", "access.log.10", "error.log"] {
        place.write(&format!("logs/{name}"), "line\n")?;
    }
    let listed = place.heka(&["logstreamer", "heka.toml"], "")?.expect_code(0)?;
    let names: Vec<&str> =
        listed.stdout.lines().filter_map(|line| Some(line.rsplit_once("/logs/")?.1)).collect();
    anyhow::ensure!(names == ["access.log.10", "access.log.2", "access.log"], "{}", listed.stdout);
    Ok(())
}
