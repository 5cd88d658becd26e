//! `heka check`: scripts alone, and the promises of a configuration.

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("check::sound_scripts_are_named_with_their_families", sound_scripts_are_named),
        test("check::every_script_with_a_mistake_is_shown", every_mistake_is_shown),
        test("check::what_may_not_be_meant_is_shown", what_may_not_be_meant_is_shown),
        test("check::every_mistake_of_a_script_is_shown", every_mistake_of_a_script_is_shown),
        test("check::scripts_and_a_configuration_do_not_mix", scripts_and_configuration),
        test("check::numbers_that_nobody_sums_up_are_noticed", numbers_that_nobody_sums_up),
        test("check::what_is_promised_is_of_this_configuration", promises),
    ]
}

fn sound_scripts_are_named() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write("filters/x.lua", "function process_message() return 0 end\n")?;
    place.write(
        "asks.lua",
        "-- family: filter\nlocal rows = read_config('rows') or error('rows is missing')\n\
         function process_message() return 0 end\n",
    )?;
    let arguments = ["check", "filters/x.lua", "asks.lua", "--config", "rows=5"];
    let finished = place.heka(&arguments, "")?.expect_code(0)?;
    let expected = "filters/x.lua is sound (filter)\nasks.lua is sound (filter)\n";
    anyhow::ensure!(finished.stdout == expected, "{finished:?}");
    let finished = place.heka(&arguments[..3], "")?.expect_code(2)?;
    anyhow::ensure!(finished.stderr.contains("rows is missing"), "{finished:?}");
    Ok(())
}

fn every_mistake_is_shown() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write("one.lua", "function process_message()\n  return +\nend\n")?;
    place.write("two.lua", "no_such_function()\n")?;
    place.write("three.lua", "local x = 1\n")?;
    let arguments = ["check", "one.lua", "two.lua", "three.lua", "four.lua"];
    let finished = place.heka(&arguments, "")?.expect_code(2)?;
    for expected in
        ["one.lua:2:10", "two.lua:1:1", "process_message() function was not found", "four.lua"]
    {
        anyhow::ensure!(finished.stderr.contains(expected), "{expected}: {}", finished.stderr);
    }
    anyhow::ensure!(finished.stderr.contains("\n4 errors"), "{}", finished.stderr);
    // What does not load is looked over all the same.
    place.write(
        "five.lua",
        "local text = read_mesage('Payload')\nfunction process_message() return 0 end\n",
    )?;
    let finished = place.heka(&["check", "five.lua"], "")?.expect_code(2)?;
    for expected in ["five.lua:1:1", "did you mean `read_message`?", "nothing uses `text`"] {
        anyhow::ensure!(finished.stderr.contains(expected), "{expected}: {}", finished.stderr);
    }
    Ok(())
}

fn what_may_not_be_meant_is_shown() -> anyhow::Result<()> {
    let place = Place::new(
        "[counter]\ntype = 'SandboxFilter'\nfilename = 'DIR/filters/x.lua'\n\
         message_matcher = 'TRUE'\n",
    )?;
    place.write(
        "filters/x.lua",
        "local t = {}\nlocal work = coroutine.wrap(print)\n\
         function process_message()\n  t[1] = function() return string.formt end\n  \
         return 0\nend\n\
         function timer_event()\n  for key in pairs(t) do inject_payload('txt', key) end\n  \
         inject_mesage(t)\nend\n",
    )?;
    for arguments in [["check", "filters/x.lua"], ["check", "heka.toml"]] {
        let finished = place.heka(&arguments, "")?.expect_code(0)?;
        for expected in [
            "x.lua:2:14",
            "a coroutine is not kept in a snapshot",
            "x.lua:4:10",
            "`t` holds it",
            "x.lua:4:35",
            "did you mean `string.format`?",
            "x.lua:8:26",
            "loop over `pairs`",
            "x.lua:9:3",
            "did you mean `inject_message`?",
        ] {
            anyhow::ensure!(finished.stderr.contains(expected), "{expected}: {}", finished.stderr);
        }
        anyhow::ensure!(finished.stdout.contains(" is sound"), "{}", finished.stdout);
    }
    Ok(())
}

fn every_mistake_of_a_script_is_shown() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write(
        "x.lua",
        "local a = +\nfunction process_message()\n  return a +\nend\n\
         function timer_event()\n  if a the\n  end\nend\n",
    )?;
    let finished = place.heka(&["check", "x.lua"], "")?.expect_code(2)?;
    for expected in ["x.lua:1:", "x.lua:4:", "x.lua:6:", "3 errors\n"] {
        anyhow::ensure!(finished.stderr.contains(expected), "{expected}: {}", finished.stderr);
    }
    Ok(())
}

fn scripts_and_configuration() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let finished = place.heka(&["check", "heka.toml", "x.lua"], "")?.expect_code(2)?;
    anyhow::ensure!(finished.stderr.contains("at a time"), "{}", finished.stderr);
    Ok(())
}

fn numbers_that_nobody_sums_up() -> anyhow::Result<()> {
    let check = |sections: &str, code: i32, expected: &[&str]| -> anyhow::Result<()> {
        let place = Place::new(&format!(
            "[counts]\ntype = 'StatFilter'\nmessage_matcher = 'TRUE'\n\
             [counts.Metric.all]\ntype = 'Counter'\nname = 'all'\nvalue = '1'\n{sections}"
        ))?;
        let finished = place.heka(&["check", "heka.toml"], "")?.expect_code(code)?;
        for text in expected {
            anyhow::ensure!(finished.stderr.contains(text), "{text}: {}", finished.stderr);
        }
        anyhow::ensure!(!expected.is_empty() || finished.stderr.is_empty(), "{}", finished.stderr);
        Ok(())
    };
    check("[StatAccumInput]\n", 0, &[])?;
    check("", 0, &["there is no StatAccumInput `StatAccumInput`", "add a section"])?;
    check(
        "[StatAccumInput]\n[listens]\ntype = 'StatsdInput'\nstat_accum_name = 'StatAcumInput'\n",
        0,
        &["nothing sums up what listens counts", "heka.toml:", "did you mean `StatAccumInput`?"],
    )?;
    check(
        "[StatAccumInput]\ntype = 'LogOutput'\nmessage_matcher = 'TRUE'\n\
         encoder = 'PayloadEncoder'\n",
        2,
        &["`StatAccumInput` is a LogOutput, not a StatAccumInput", "described here"],
    )
}

const PROMISED: &str = "[hekad]\nbase_dir = 'DIR/state'\n[hekad.journal]\nJOURNAL\n\
    [logs]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR'\nfile_match = 'log'\n\
    [packets]\ntype = 'UdpInput'\naddress = '127.0.0.1:0'\n\
    [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/x.lua'\nmessage_matcher = 'TRUE'\n\
    [fresh]\ntype = 'SandboxFilter'\nfilename = 'DIR/x.lua'\nmessage_matcher = 'TRUE'\n\
    preserve_data = false\n\
    [copy]\ntype = 'FileOutput'\npath = 'DIR/out'\nmessage_matcher = 'TRUE'\n\
    encoder = 'PayloadEncoder'\n[copy.buffering]\nmax_buffer_size = 1000000\n\
    full_action = 'drop'\n\
    [live]\ntype = 'LogOutput'\nmessage_matcher = 'TRUE'\nencoder = 'PayloadEncoder'\n\
    use_buffering = false\n\
    [send]\ntype = 'TcpOutput'\nmessage_matcher = 'TRUE'\nprotocol = 'ack'\n\
    addresses = ['127.0.0.1:1', '127.0.0.1:2']\n";

fn promises() -> anyhow::Result<()> {
    let disk = [
        ("kill -9", "nothing acknowledged is lost; filter state exact"),
        ("power cut", "the same"),
        ("an output down or slow", "then the inputs wait"),
        ("disk full, I/O error", "inputs are held back"),
        ("logs", "each line comes once"),
        ("packets", "not durable yet is lost"),
        ("count", "state exact; when what it needs fills the budget, the inputs wait"),
        ("fresh", "starts empty"),
        ("copy", "each line once"),
        ("copy", "1000000 bytes behind, it loses the oldest"),
        ("live", "reads at the end alone"),
        ("send", "may come twice"),
    ];
    let memory = [
        ("kill -9", "what the source can send again comes again, the rest is lost"),
        ("an output down or slow", "then the engine stops"),
        ("disk full, I/O error", "not on the disk"),
        ("count", "state as of the last snapshot; when"),
    ];
    let kinds: [(&str, &[(&str, &str)]); 2] =
        [("", &disk), ("storage = 'memory'\nfull_action = 'shutdown'", &memory)];
    for (journal, expected) in kinds {
        let place = Place::new(&PROMISED.replace("JOURNAL", journal))?;
        place.write("x.lua", "function process_message() return 0 end\n")?;
        let told = place.heka(&["check", "heka.toml"], "")?.expect_code(0)?.stdout;
        for (name, promise) in expected {
            let line = told.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            anyhow::ensure!(line.contains(promise), "{name}: {promise} is not in\n{told}");
        }
        anyhow::ensure!(!place.path("state").exists(), "something was started");
    }
    Ok(())
}
