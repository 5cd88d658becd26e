//! `heka test`: the specs beside scripts.

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("test::specs_are_found_and_run", specs_are_found_and_run),
        test("test::failures_show_found_and_expected", failures_show_found_and_expected),
        test("test::lines_that_never_run_are_told", lines_that_never_run_are_told),
        test("test::a_changed_script_is_tested_again", a_changed_script_is_tested_again),
    ]
}

const SCRIPT: &str = "require 'limits'\n\
    local n = 0\n\
    function process_message(msg)\n\
      if string.find(msg.Payload, 'error', 1, true) then\n\
        n = n + 1\n\
      elseif msg.Payload == 'never' then\n\
        n = 0\n\
      end\n\
      return 0\n\
    end\n\
    function timer_event(ns)\n\
      if n > limits.most then inject_payload('alert', 'errors', n) end\n\
    end\n";

const SPEC: &str = "describe('errors', function()\n\
    it('tells of more errors than there may be', function()\n\
      local script = sandbox()\n\
      local log = decoded(nil, {}, read('sample.log'))\n\
      equal(#log, 3)\n\
      for second, message in ipairs(log) do message.Timestamp = second * 30e9 end\n\
      local found = script:play(log, 60)\n\
      equal(#found, 1)\n\
      equal({found[1].Payload, found[1].Fields.payload_type}, {'2', 'alert'})\n\
    end)\n\
    it('reads access logs', function()\n\
      local lines = '10.0.0.1 - - [05/Oct/2026:13:00:00 +0000] \"GET / HTTP/1.1\" 200 17 \"-\" \"-\"'\n\
      local messages = decoded('AccessLogDecoder', { log_format = 'combined' }, lines)\n\
      equal(messages[1].Fields.status, 200)\n\
    end)\n\
    it('fails', function()\n\
      fails(function() decoded('JsonDecoder', {}, '{') end, 'cannot decode')\n\
      fails(function() filter('function process_message() error(\"no good\") end'):process({}) end, 'no good')\n\
    end)\n\
  end)\n";

fn place() -> anyhow::Result<Place> {
    let place = Place::new("")?;
    place.write("filters/errors.lua", SCRIPT)?;
    place.write("filters/errors_spec.lua", SPEC)?;
    place.write("filters/sample.log", "an error\nnothing\nan error\n")?;
    place.write("lua_modules/limits.lua", "limits = { most = 1 }\nreturn limits\n")?;
    Ok(place)
}

fn specs_are_found_and_run() -> anyhow::Result<()> {
    let place = place()?;
    for path in ["filters", "filters/errors_spec.lua", "filters/errors.lua"] {
        let finished = place.heka(&["test", path], "")?.expect_code(0)?;
        let expected = "filters/errors_spec.lua\n  \
            ok    errors tells of more errors than there may be\n  \
            ok    errors reads access logs\n  \
            ok    errors fails\n";
        anyhow::ensure!(finished.stdout == expected, "{finished:?}");
        anyhow::ensure!(finished.stderr.contains("heka: 3 passed, 0 failed"), "{finished:?}");
    }
    let finished = place.heka(&["test", "filters", "--filter", "access"], "")?.expect_code(0)?;
    anyhow::ensure!(finished.stderr.contains("heka: 1 passed, 0 failed"), "{finished:?}");
    let finished = place.heka(&["test", "lua_modules"], "")?.expect_code(2)?;
    anyhow::ensure!(finished.stderr.contains("there are no specs in"), "{finished:?}");
    Ok(())
}

fn failures_show_found_and_expected() -> anyhow::Result<()> {
    let place = place()?;
    place.write(
        "filters/errors_spec.lua",
        "describe('lists', function()\n\
           it('differ', function()\n\
             equal({a = {1, 2}}, {a = {1, 3}})\n\
           end)\n\
         end)\n\
         it('raises', function()\n\
           local function deep() error('boom') end\n\
           deep()\n\
         end)\n\
         it('loops', function()\n\
           filter('function process_message() while true do end end'):process({})\n\
         end)\n",
    )?;
    let finished = place.heka(&["test", "filters"], "")?.expect_code(1)?;
    for expected in [
        "found    {\"a\":[1,2]}",
        "expected {\"a\":[1,3]}",
        "they differ at .a[2]",
        "at filters/errors_spec.lua:3\n  FAIL",
        "filters/errors_spec.lua:7: boom\n        at filters/errors_spec.lua:8\n",
        "cpu_limit exceeded",
    ] {
        anyhow::ensure!(finished.stdout.contains(expected), "no {expected}: {finished:?}");
    }
    place.write("filters/errors_spec.lua", "it('is wrong'\n")?;
    let finished = place.heka(&["test", "filters"], "")?.expect_code(1)?;
    anyhow::ensure!(finished.stdout.contains("errors_spec.lua:"), "{finished:?}");
    Ok(())
}

fn lines_that_never_run_are_told() -> anyhow::Result<()> {
    let place = place()?;
    let finished = place.heka(&["test", "filters", "--coverage"], "")?.expect_code(0)?;
    let expected = "filters/errors.lua: 90 % of 10 lines; never run:\n     7  n = 0\n";
    anyhow::ensure!(finished.stdout.contains(expected), "{finished:?}");
    let module = "lua_modules/limits.lua: 100 % of 2 lines\n";
    anyhow::ensure!(finished.stdout.contains(module), "{finished:?}");
    Ok(())
}

fn a_changed_script_is_tested_again() -> anyhow::Result<()> {
    let place = place()?;
    let mut running = place.start(&["test", "filters", "--watch"])?;
    running.wait_for("the first run", |it| it.stderr().contains("3 passed").then_some(()))?;
    place.write("filters/errors.lua", &SCRIPT.replace("n + 1", "n + 2"))?;
    running.wait_for("the next run", |it| it.stderr().contains("1 failed").then_some(()))?;
    place.write("filters/errors.lua", SCRIPT)?;
    let runs = |it: &crate::harness::Engine, number| {
        (it.stderr().matches("3 passed").count() == number).then_some(())
    };
    running.wait_for("it passes again", |it| runs(it, 2))?;
    // A module that the script requires, in a folder of its own.
    let module = place.read("lua_modules/limits.lua");
    place.write("lua_modules/limits.lua", &format!("{module}\n-- changed\n"))?;
    running.wait_for("a run for the module", |it| runs(it, 3))?;
    running.kill()?;
    Ok(())
}
