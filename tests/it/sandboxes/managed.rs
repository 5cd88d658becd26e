//! Filters loaded over the wire, by signed control messages.

use libtest_mimic::Trial;

use super::Counting;
use super::script;
use crate::harness::Finished;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("sandboxes::signed_messages_load_filters_that_outlive_a_kill", managed),
        test("sandboxes::what_was_asked_for_right_before_a_stop_is_done", asked_before_a_stop),
    ]
}

const CONFIG: &str = "[framing]\ntype = 'HekaFramingSplitter'\n\
    [framing.signer.ops_1]\nhmac_key = 'secret'\n\
    [framing.signer.others_1]\nhmac_key = 'other'\n\
    [wire]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'framing'\n\
    decoder = 'ProtobufDecoder'\n\
    [ops]\ntype = 'SandboxManagerFilter'\nmessage_signer = 'ops'\nmax_filters = 1\n\
    [ends]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.sandbox-terminated'\"\n\
    path = 'DIR/ends'\nencoder = 'PayloadEncoder'\nflush_interval = 10\n";

fn send(
    counting: &mut Counting,
    signer: &str,
    key: &str,
    arguments: &[&str],
) -> anyhow::Result<Finished> {
    let address = counting.engine.address("wire")?.to_string();
    let mut all = arguments.to_vec();
    all.extend(["--signer", signer, "--key", key, "--heka", &address]);
    counting.sandbox(&all)
}

fn expect(counting: &mut Counting, line: &str) -> anyhow::Result<()> {
    counting.expect("first")?;
    counting
        .engine
        .wait_for(line, |_| counting.place.read("out").lines().any(|it| it == line).then_some(()))
}

/// Waits until a filter is there, or is not.
fn wait_for(counting: &mut Counting, name: &str, code: i32) -> anyhow::Result<()> {
    let state = counting.place.path("state").to_string_lossy().into_owned();
    let place = &counting.place;
    counting.engine.wait_for(&format!("{name} to come or go"), |_| {
        let list = ["sandbox", "list", name, "--base-dir", &state];
        (place.heka(&list, "").ok()?.status.code() == Some(code)).then_some(())
    })
}

fn managed() -> anyhow::Result<()> {
    let mut counting = Counting::start(&format!("{}{CONFIG}", super::CONFIG))?;
    let more = |word: &str| script(word).replace("'count', '", "'more', 'more ");
    let place = &counting.place;
    place.write("more.lua", &more("one"))?;
    place.write("more.toml", "[more]\nmessage_matcher = \"Type == 'lines'\"\n")?;
    place.write("world.lua", "require 'io'\nfunction process_message() return 0 end\n")?;
    let load = ["load", "more.lua", "more.toml"];
    // Nobody else's word counts, nor what another key has signed.
    send(&mut counting, "others_1", "other", &load)?.expect_code(0)?;
    send(&mut counting, "ops_1", "wrong", &load)?.expect_code(0)?;
    // A script that reaches for the world is refused, with a message that says so.
    send(&mut counting, "ops_1", "secret", &["load", "world.lua", "more.toml"])?.expect_code(0)?;
    counting.engine.wait_for("the refusal", |_| {
        counting.place.read("ends").contains("nothing was loaded").then_some(())
    })?;
    send(&mut counting, "ops_1", "secret", &load)?.expect_code(0)?;
    wait_for(&mut counting, "ops-more", 0)?;
    expect(&mut counting, "more one 1")?;
    counting = counting.kill()?;
    expect(&mut counting, "more one 2")?;
    // Loaded again it goes on with its state; one more is one too many.
    counting.place.write("more.lua", &more("two"))?;
    send(&mut counting, "ops_1", "secret", &load)?.expect_code(0)?;
    counting.engine.wait_for("the next version", |engine| {
        engine.stderr().contains("runs in the place of").then_some(())
    })?;
    expect(&mut counting, "more two 3")?;
    counting.place.write("other.toml", "[other]\nmessage_matcher = 'TRUE'\n")?;
    send(&mut counting, "ops_1", "secret", &["load", "more.lua", "other.toml"])?.expect_code(0)?;
    counting.engine.wait_for("the refusal", |_| {
        counting.place.read("ends").contains("as many as may be").then_some(())
    })?;
    send(&mut counting, "ops_1", "secret", &["unload", "more"])?.expect_code(0)?;
    wait_for(&mut counting, "ops-more", 2)?;
    counting = counting.kill()?;
    counting.expect("first")?;
    counting.sandbox(&["list", "ops-more"])?.expect_code(2)?;
    counting.engine.stop()?.expect_code(0)?;
    Ok(())
}

fn asked_before_a_stop() -> anyhow::Result<()> {
    let seen = "[seen]\ntype = 'FileOutput'\npath = 'DIR/seen'\nencoder = 'PayloadEncoder'\n\
        message_matcher = \"Type == 'heka.control.sandbox'\"\nflush_interval = 10\n";
    let mut counting = Counting::start(&format!("{}{CONFIG}{seen}", super::CONFIG))?;
    counting.place.write("more.lua", &script("one"))?;
    counting.place.write("more.toml", "[more]\nmessage_matcher = \"Type == 'lines'\"\n")?;
    send(&mut counting, "ops_1", "secret", &["load", "more.lua", "more.toml"])?.expect_code(0)?;
    let place = &counting.place;
    counting.engine.wait_for("the request", |_| (!place.read("seen").is_empty()).then_some(()))?;
    let Counting { place, engine, .. } = counting;
    engine.stop()?.expect_code(0)?;
    let mut counting = Counting::start_in(place, 0)?;
    wait_for(&mut counting, "ops-more", 0)?;
    counting.engine.stop()?.expect_code(0)?;
    Ok(())
}
