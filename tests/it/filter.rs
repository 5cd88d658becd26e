//! `heka filter`: one script over logs and streams.

use std::fmt::Write as _;

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("filter::payloads_are_printed_as_they_are", payloads_are_printed_as_they_are),
        test("filter::timers_follow_the_time_of_the_messages", timers_follow_the_messages),
        test("filter::a_framed_stream_is_recognised", a_framed_stream_is_recognised),
        test("filter::alerts_and_messages_are_shown", alerts_and_messages_are_shown),
        test("filter::failures_name_the_place_in_the_script", failures_name_the_place),
        test("filter::a_script_that_loops_is_terminated", a_script_that_loops_is_terminated),
        test("filter::mistakes_end_with_two", mistakes_end_with_two),
        test("filter::a_changed_script_is_run_again", a_changed_script_is_run_again),
    ]
}

const COUNTER: &str = "local n = 0\n\
    function process_message() n = n + 1 return 0 end\n\
    function timer_event(ns) inject_payload('txt', 'count', n, ' ', read_config('what')) end\n";

fn payloads_are_printed_as_they_are() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write("count.lua", COUNTER)?;
    place.write("log", "one\ntwo\nthree")?;
    let finished = place
        .heka(&["filter", "count.lua", "log", "-", "--config", "what=lines"], "four\n")?
        .expect_code(0)?;
    anyhow::ensure!(finished.stdout == "4 lines\n", "{finished:?}");
    let summary = "heka: 4 messages, 1 injected, 0 failures, ";
    anyhow::ensure!(finished.stderr.starts_with(summary), "{finished:?}");
    Ok(())
}

/// Ten minutes of an access log, a line every ten seconds, each second one a failure.
fn access_log() -> String {
    let mut log = String::new();
    for number in 0..60 {
        let (minute, second) = (number / 6, number % 6 * 10);
        let status = if number % 2 == 0 { 200 } else { 500 };
        let _ = writeln!(
            log,
            "10.0.0.1 - - [05/Oct/2026:13:{minute:02}:{second:02} +0000] \"GET / HTTP/1.1\" \
             {status} 17 \"-\" \"-\""
        );
    }
    log
}

fn timers_follow_the_messages() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write(
        "status.lua",
        "local n = 0\n\
         function process_message(msg)\n\
           assert(msg.Fields.status == 500)\n\
           n = n + 1\n\
           return 0\n\
         end\n\
         function timer_event(ns)\n\
           inject_payload('txt', 'count', os.date('!%H:%M:%S', ns / 1e9), ' ', n)\n\
           n = 0\n\
         end\n",
    )?;
    place.write("access.log", &access_log())?;
    let arguments = [
        "filter",
        "status.lua",
        "access.log",
        "--decoder=AccessLogDecoder",
        "--set=log_format=combined",
        "--match=Fields[status] == 500",
        "--ticker=300",
    ];
    let finished = place.heka(&arguments, "")?.expect_code(0)?;
    let expected = "13:05:00 15\n13:09:50 15\n";
    anyhow::ensure!(finished.stdout == expected, "{finished:?}");
    anyhow::ensure!(finished.stderr.contains("60 messages, 30 matched"), "{finished:?}");
    Ok(())
}

fn a_framed_stream_is_recognised() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let mut batch = heka::message::Batch::new();
    for number in 0..1000 {
        let mut message = batch.begin();
        message.message_type(b"number").payload(format!("{number}").as_bytes());
        message.finish()?;
    }
    std::fs::write(place.path("stream"), batch.bytes())?;
    place.write(
        "sum.lua",
        "local sum = 0\n\
         function process_message() sum = sum + tonumber(read_message('Payload')) return 0 end\n\
         function timer_event(ns) inject_payload('txt', '', sum, '\\n') end\n",
    )?;
    let finished = place.heka(&["filter", "sum.lua", "stream"], "")?.expect_code(0)?;
    anyhow::ensure!(finished.stdout == "499500\n", "{finished:?}");
    Ok(())
}

fn alerts_and_messages_are_shown() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write(
        "both.lua",
        "function process_message()\n\
           if read_message('Payload') == 'bad\\n' then\n\
             inject_payload('alert', 'disk', 'it is full')\n\
           else\n\
             inject_message({Type = 'seen', Fields = {n = 1}})\n\
           end\n\
           return 0\n\
         end\n",
    )?;
    let finished = place.heka(&["filter", "both.lua"], "good\nbad\n")?.expect_code(0)?;
    let mut lines = finished.stdout.lines();
    let message: serde_json::Value = serde_json::from_str(lines.next().unwrap_or_default())?;
    anyhow::ensure!(message["Type"] == "heka.sandbox.seen", "{finished:?}");
    anyhow::ensure!(lines.next() == Some("ALERT disk: it is full"), "{finished:?}");
    anyhow::ensure!(finished.stderr.contains("2 injected, 1 of them alerts"), "{finished:?}");
    Ok(())
}

fn failures_name_the_place() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write(
        "throw.lua",
        "local function inner() error('no good') end\n\
         function process_message()\n\
           if read_message('Payload') == 'b\\n' then inner() end\n\
           return 0\n\
         end\n",
    )?;
    let finished = place.heka(&["filter", "throw.lua"], "a\nb\nc\n")?.expect_code(0)?;
    let stderr = &finished.stderr;
    anyhow::ensure!(stderr.contains("message 2 was set aside: throw.lua:1: no good"), "{stderr}");
    anyhow::ensure!(stderr.contains("in process_message"), "no traceback: {stderr}");
    anyhow::ensure!(stderr.contains("its payload: b"), "{stderr}");
    anyhow::ensure!(stderr.contains("3 messages, 0 injected, 1 failures"), "{stderr}");
    Ok(())
}

fn a_script_that_loops_is_terminated() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write("loop.lua", "function process_message() while true do end end\n")?;
    let arguments = ["filter", "loop.lua", "--cpu-limit", "20ms"];
    let finished = place.heka(&arguments, "a\nb\n")?.expect_code(1)?;
    let stderr = &finished.stderr;
    anyhow::ensure!(stderr.contains("terminated at message 1: "), "{stderr}");
    anyhow::ensure!(stderr.contains("cpu_limit exceeded"), "{stderr}");
    Ok(())
}

fn mistakes_end_with_two() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write("wrong.lua", "function process_message()\n  return +\nend\n")?;
    place.write("count.lua", COUNTER)?;
    for (arguments, expected) in [
        (&["filter", "wrong.lua"][..], "wrong.lua:2: "),
        (&["filter", "none.lua"], "none.lua"),
        (&["filter", "count.lua", "--decoder=JsonDecode"], "did you mean `JsonDecoder`?"),
        (&["filter", "count.lua", "--decoder=JsonDecoder", "--set=x=1"], "unknown field `x`"),
        (&["filter", "count.lua", "--match=Type ="], "^"),
    ] {
        let finished = place.heka(arguments, "")?.expect_code(2)?;
        anyhow::ensure!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
    Ok(())
}

fn a_changed_script_is_run_again() -> anyhow::Result<()> {
    let place = Place::new("")?;
    place.write("count.lua", COUNTER)?;
    place.write("log", "one\n")?;
    let arguments = ["filter", "count.lua", "log", "--watch", "--config=what=old"];
    let mut running = place.start(&arguments)?;
    running.wait_for("the first run", |it| it.stdout().contains("1 old").then_some(()))?;
    place.write("count.lua", "function process_message(\n")?;
    running.wait_for("the mistake", |it| it.stderr().contains("count.lua:").then_some(()))?;
    place.write("count.lua", &COUNTER.replace("n + 1", "n + 7"))?;
    running.wait_for("the last run", |it| it.stdout().contains("7 old").then_some(()))?;
    running.kill()?;
    Ok(())
}
