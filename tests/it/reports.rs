//! What a running engine says of itself.

use anyhow::Context;
use libtest_mimic::Trial;
use nix::sys::signal::Signal;

use crate::harness::Place;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("reports::a_signal_brings_a_report", a_signal_brings_a_report),
        test("reports::reports_come_by_themselves", reports_come_by_themselves),
    ]
}

const CONFIG: &str = "[TcpInput]\naddress = \"127.0.0.1:0\"\n\n\
    [counter]\ntype = \"SandboxFilter\"\nfilename = \"DIR/counter.lua\"\n\
    message_matcher = \"Type == 'x'\"\nticker_interval = 5\n\n\
    [LogOutput]\nmessage_matcher = \"Type =~ /^heka\\\\./\"\nencoder = \"JsonEncoder\"\n";

fn place(hekad: &str) -> anyhow::Result<Place> {
    let place = Place::new("")?;
    place.write("counter.lua", "function process_message() return 0 end\n")?;
    place.configure(&format!("{hekad}{CONFIG}"))?;
    Ok(place)
}

/// The message of this type, when there is one on stdout.
fn message(stdout: &str, message_type: &str) -> Option<serde_json::Value> {
    let messages = stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut messages = messages.filter(|one: &serde_json::Value| one["Type"] == message_type);
    messages.next()
}

fn a_signal_brings_a_report() -> anyhow::Result<()> {
    let place = place("")?;
    let mut engine = place.run(&[])?;
    engine.address("TcpInput")?;
    engine.signal(Signal::SIGUSR1)?;
    let report =
        engine.wait_for("a report", |engine| message(&engine.stdout(), "heka.all-report"))?;
    let memory = engine.wait_for("memory", |engine| message(&engine.stdout(), "heka.memstat"))?;
    let payload = report["Payload"].as_str().context("no payload")?;
    let payload: serde_json::Value = serde_json::from_str(payload)?;
    anyhow::ensure!(report["Logger"] == "hekad", "{report}");
    let filter = &payload["filters"][0];
    anyhow::ensure!(filter["Name"] == "counter", "{payload}");
    let expected = serde_json::json!({"value": 0, "representation": "count"});
    anyhow::ensure!(filter["ProcessMessageCount"] == expected, "{payload}");
    for family in ["globals", "inputs", "splitters", "outputs", "encoders"] {
        anyhow::ensure!(payload[family][0]["Name"].is_string(), "no {family}: {payload}");
    }
    anyhow::ensure!(memory["Fields"]["HeapSys"].to_string().len() > 3, "{memory}");
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn reports_come_by_themselves() -> anyhow::Result<()> {
    let hekad = "[hekad]\nbase_dir = \"DIR/state\"\nreport_interval = 1\n\
        [hekad.admin]\naddress = \"127.0.0.1:0\"\n\n";
    let place = place(hekad)?;
    let mut engine = place.run(&[])?;
    engine.wait_for("a report", |engine| message(&engine.stdout(), "heka.all-report"))?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
