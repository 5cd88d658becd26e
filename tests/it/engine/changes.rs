//! Reloads that add, take away and rename, and those that come at a bad time.

use std::io::Write;
use std::net::TcpStream;

use anyhow::Context;
use libtest_mimic::Trial;
use nix::sys::signal::Signal;

use crate::harness::Engine;
use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("changes::plugins_come_go_and_change_their_names", come_and_go),
        test("changes::a_filter_that_failed_to_start_is_tried_again", tried_again),
        test("changes::a_script_saved_twice_quickly_is_read_at_last", saved_twice),
        test("changes::a_script_replaced_by_renaming_is_noticed", replaced_by_renaming),
        test("changes::a_script_taken_away_leaves_the_filter", script_taken_away),
        test("changes::hangups_under_load_lose_and_double_nothing", hangups_under_load),
        test("changes::an_encoder_that_does_not_start_leaves_the_output", encoder_fails),
    ]
}

const INPUT: &str = "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n\
    splitter = 'TokenSplitter'\ndecoder = ''\n";

fn output(name: &str, matcher: &str) -> String {
    format!(
        "[{name}]\ntype = 'FileOutput'\nmessage_matcher = \"{matcher}\"\npath = 'DIR/{name}'\n\
         encoder = 'PayloadEncoder'\nflush_interval = 10\n"
    )
}

fn filter(name: &str, matcher: &str) -> String {
    format!(
        "[{name}]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
         message_matcher = \"{matcher}\"\n[{name}.config]\nname = '{name}'\n"
    )
}

fn script(word: &str) -> String {
    format!(
        "count = 0\nfunction process_message(msg)\n  count = count + 1\n\
         \x20 inject_payload('txt', 'count', read_config('name'), ' {word} ', count, '\\n')\n\
         \x20 return 0\nend\n"
    )
}

fn started(config: &str) -> anyhow::Result<(Place, Engine, TcpStream)> {
    let place = Place::new(config)?;
    place.write("count.lua", &script("first"))?;
    let mut engine = place.run(&[])?;
    let stream = TcpStream::connect(engine.address("lines")?)?;
    Ok((place, engine, stream))
}

/// Sends a line and waits until `file` has `expected` in its last line.
fn expect(
    (place, engine, stream): (&Place, &mut Engine, &mut TcpStream),
    file: &str,
    expected: &str,
) -> anyhow::Result<()> {
    stream.write_all(b"a line\n")?;
    let is_there = |text: &str| text.lines().last().is_some_and(|line| line.contains(expected));
    let waited = engine
        .wait_for(&format!("{expected} in {file}"), |_| is_there(&place.read(file)).then_some(()));
    waited.with_context(|| place.read(file))
}

/// Reloads and waits until that is said once more.
fn reload(place: &Place, engine: &mut Engine, config: &str) -> anyhow::Result<String> {
    let said = |engine: &Engine| {
        engine.stderr().matches("reloaded").count() + engine.stderr().matches("nothing was").count()
    };
    let before = said(engine);
    place.configure(config)?;
    engine.signal(Signal::SIGHUP)?;
    engine.wait_for("the reload", |engine| (said(engine) > before).then_some(()))?;
    Ok(engine.stderr())
}

fn come_and_go() -> anyhow::Result<()> {
    let counts = "Type == 'heka.sandbox-output'";
    let base = format!("{INPUT}{}", output("counts", counts));
    let lines = "Type == 'lines'";
    let (place, mut engine, mut stream) = started(&format!("{base}{}", filter("one", lines)))?;
    expect((&place, &mut engine, &mut stream), "counts", "one first 1")?;
    // Another name is another filter, that begins at nothing; the input stays open.
    reload(&place, &mut engine, &format!("{base}{}", filter("two", lines)))?;
    expect((&place, &mut engine, &mut stream), "counts", "two first 1")?;
    // A matcher that takes nothing, then the old one again: the count is kept.
    reload(&place, &mut engine, &format!("{base}{}", filter("two", "Type == 'none'")))?;
    reload(
        &place,
        &mut engine,
        &format!("{base}{}{}", filter("two", lines), output("all", lines)),
    )?;
    expect((&place, &mut engine, &mut stream), "counts", "two first 2")?;
    stream.write_all(b"a line\n")?;
    engine.wait_for("both lines", |_| (place.read("all") == "a line\na line\n").then_some(()))?;
    // Taken away and back: it goes on from what was kept.
    reload(&place, &mut engine, &format!("{base}{}", output("all", lines)))?;
    reload(&place, &mut engine, &format!("{base}{}", filter("two", lines)))?;
    expect((&place, &mut engine, &mut stream), "counts", "two first 4")?;
    engine.stop()?.expect_code(0)?;
    let all = place.read("all");
    anyhow::ensure!(all.lines().count() == 2, "{all}");
    Ok(())
}

fn tried_again() -> anyhow::Result<()> {
    let lines = "Type == 'lines'";
    let base = format!("{INPUT}{}", output("counts", "Type == 'heka.sandbox-output'"));
    let (place, mut engine, mut stream) = started(&base)?;
    place.write("count.lua", "function process_message( return 0 end\n")?;
    place.configure(&format!("{base}{}", filter("one", lines)))?;
    engine.signal(Signal::SIGHUP)?;
    engine.wait_for("the failure", |engine| {
        (engine.stderr().contains("not reloaded") || engine.stderr().contains("nothing was"))
            .then_some(())
    })?;
    place.write("count.lua", &script("second"))?;
    engine.signal(Signal::SIGHUP)?;
    engine.wait_for("the filter", |engine| {
        engine.stderr().contains("reloaded added").then_some(())
    })?;
    expect((&place, &mut engine, &mut stream), "counts", "second 1")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn counting() -> anyhow::Result<(Place, Engine, TcpStream)> {
    let counts = output("counts", "Type == 'heka.sandbox-output'");
    started(&format!("{INPUT}{counts}{}", filter("one", "Type == 'lines'")))
}

fn saved_twice() -> anyhow::Result<()> {
    let (place, mut engine, mut stream) = counting()?;
    let mut count = 0;
    for round in 0..4 {
        let last = format!("last{round}");
        for word in ["second", "third", &*last] {
            place.write("count.lua", &script(word))?;
        }
        engine.wait_for(&last, |_| {
            count += 1;
            stream.write_all(b"a line\n").ok()?;
            place.read("counts").contains(&last).then_some(())
        })?;
    }
    engine.wait_for("all counts", |_| {
        (place.read("counts").lines().count() == count).then_some(())
    })?;
    for (index, line) in place.read("counts").lines().enumerate() {
        let number = format!(" {}", index + 1);
        anyhow::ensure!(line.ends_with(&number), "{line} is not number{number}");
    }
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn replaced_by_renaming() -> anyhow::Result<()> {
    let (place, mut engine, mut stream) = counting()?;
    expect((&place, &mut engine, &mut stream), "counts", "first 1")?;
    for (round, word) in ["second", "third"].into_iter().enumerate() {
        place.write(".count.lua.swp", &script(word))?;
        std::fs::rename(place.path(".count.lua.swp"), place.path("count.lua"))?;
        engine.wait_for("the reload", |engine| {
            (engine.stderr().matches("reloaded").count() > round).then_some(())
        })?;
        expect((&place, &mut engine, &mut stream), "counts", &format!("{word} {}", round + 2))?;
    }
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn script_taken_away() -> anyhow::Result<()> {
    let (place, mut engine, mut stream) = counting()?;
    expect((&place, &mut engine, &mut stream), "counts", "first 1")?;
    std::fs::remove_file(place.path("count.lua"))?;
    engine
        .wait_for("the failure", |engine| engine.stderr().contains("not reloaded").then_some(()))?;
    expect((&place, &mut engine, &mut stream), "counts", "first 2")?;
    place.write("count.lua", &script("second"))?;
    engine
        .wait_for("the reload", |engine| engine.stderr().contains("INFO reloaded").then_some(()))?;
    expect((&place, &mut engine, &mut stream), "counts", "second 3")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn hangups_under_load() -> anyhow::Result<()> {
    const LINES: usize = 60_000;
    let base = format!(
        "{INPUT}{}{}{}",
        output("all", "Type == 'lines'"),
        filter("one", "Type == 'lines'"),
        output("counts", "Type == 'heka.sandbox-output'")
    );
    let (place, mut engine, mut stream) = started(&base)?;
    let sending = std::thread::spawn(move || -> std::io::Result<()> {
        for number in 0..LINES {
            stream.write_all(format!("line {number}\n").as_bytes())?;
        }
        Ok(())
    });
    for round in 0..6 {
        let other = output("other", "Type == 'none'");
        let flush = format!("flush_interval = {}", 11 + round);
        let config = base.replacen("flush_interval = 10", &flush, 1);
        place.write("count.lua", &script(&format!("word{round}")))?;
        reload(
            &place,
            &mut engine,
            &format!("{config}{}", if round % 2 == 0 { &other } else { "" }),
        )?;
    }
    sending.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    engine.wait_for("all counts", |_| {
        (place.read("counts").lines().count() >= LINES).then_some(())
    })?;
    engine.wait_for("all lines", |_| (place.read("all").lines().count() >= LINES).then_some(()))?;
    let stderr = engine.stop()?.expect_code(0)?.stderr;
    for (index, line) in place.read("counts").lines().enumerate() {
        let number = format!(" {}", index + 1);
        anyhow::ensure!(line.ends_with(&number), "{line} is not number{number}; {stderr}");
    }
    let all = place.read("all");
    let expected: String = (0..LINES).map(|number| format!("line {number}\n")).collect();
    anyhow::ensure!(all == expected, "{} lines; {stderr}", all.lines().count());
    Ok(())
}

fn encoder_fails() -> anyhow::Result<()> {
    let all = output("all", "Type == 'lines'");
    let (place, mut engine, mut stream) = started(&format!("{INPUT}{all}"))?;
    expect((&place, &mut engine, &mut stream), "all", "a line")?;
    place.write("encode.lua", "function process_message( end\n")?;
    place.configure(&format!(
        "{INPUT}{}[script]\ntype = 'SandboxEncoder'\nfilename = 'DIR/encode.lua'\n",
        all.replace("PayloadEncoder", "script")
    ))?;
    engine.signal(Signal::SIGHUP)?;
    engine.wait_for("the failure", |engine| {
        (engine.stderr().contains("not reloaded") || engine.stderr().contains("nothing was"))
            .then_some(())
    })?;
    stream.write_all(b"another\n")?;
    engine
        .wait_for("the old output", |_| (place.read("all") == "a line\nanother\n").then_some(()))?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
