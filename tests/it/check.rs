//! `heka check` over scripts alone.

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("check::sound_scripts_are_named_with_their_families", sound_scripts_are_named),
        test("check::every_script_with_a_mistake_is_shown", every_mistake_is_shown),
        test("check::scripts_and_a_configuration_do_not_mix", scripts_and_configuration),
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
    anyhow::ensure!(finished.stderr.ends_with("4 errors\n\n"), "{}", finished.stderr);
    Ok(())
}

fn scripts_and_configuration() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let finished = place.heka(&["check", "heka.toml", "x.lua"], "")?.expect_code(2)?;
    anyhow::ensure!(finished.stderr.contains("at a time"), "{}", finished.stderr);
    Ok(())
}
