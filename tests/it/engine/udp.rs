//! Datagrams: a burst that the kernel cannot hold is counted to the last one.

use std::net::UdpSocket;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;

use crate::harness::Place;
use crate::harness::http::ask;
use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![test("udp::what_the_kernel_drops_is_counted", what_the_kernel_drops_is_counted)]
}

/// The input stands still while datagrams come: its engine is stopped as a debugger would. What the
/// socket had no room for is in the metrics, the report, the log and the summary, and every datagram
/// is either there or counted.
fn what_the_kernel_drops_is_counted() -> anyhow::Result<()> {
    let place = Place::new(
        "[udp]\ntype = 'UdpInput'\naddress = '127.0.0.1:0'\n\
         [count]\ntype = 'CounterFilter'\nmessage_matcher = \"Type == 'udp'\"\n\
         [report]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.all-report'\"\n\
         path = 'DIR/report'\nencoder = 'PayloadEncoder'\n",
    )?;
    let mut engine = place.run(&[])?;
    let (address, port) = (engine.address("udp")?, engine.address("the admin port")?);
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let number = |name: &str| -> Option<u64> {
        let metrics = ask(port, "GET /metrics", "").ok()?.body;
        let row = format!("{name}{{plugin=\"udp\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&row))?.parse().ok()
    };
    socket.send_to(b"first", address)?;
    engine
        .wait_for("the first", |_| number("heka_input_messages_total").filter(|sum| *sum == 1))?;
    engine.signal(Signal::SIGSTOP)?;
    for _ in 0..BURST {
        socket.send_to(&[b'x'; 8_000], address)?;
    }
    engine.signal(Signal::SIGCONT)?;
    // The kernel says how many it dropped with the next that it did not.
    let mut sent = 1 + BURST;
    let dropped = engine.wait_for("every datagram to be there or counted", |_| {
        sent += u64::from(socket.send_to(b"next", address).is_ok());
        let dropped = number("heka_input_kernel_dropped_total")?;
        let taken = number("heka_input_messages_total")?;
        (dropped > 0 && taken + dropped == sent).then_some(dropped)
    })?;
    anyhow::ensure!(number("heka_input_dropped_total") == Some(dropped), "counted differently");
    engine.signal(Signal::SIGUSR1)?;
    let report = engine.wait_for("the report", |_| {
        let report = place.read("report");
        let line = report.lines().last()?;
        serde_json::from_str::<serde_json::Value>(line).ok()
    })?;
    let input = &report["inputs"][0];
    anyhow::ensure!(input["DropMessageCount"]["value"] == dropped, "{input}");
    let finished = engine.stop()?.expect_code(0)?;
    let told = "the kernel dropped datagrams";
    anyhow::ensure!(finished.stderr.contains(told), "{}", finished.stderr);
    let summary = format!("heka: input udp: {dropped} failed\n");
    anyhow::ensure!(finished.stderr.contains(&summary), "{}", finished.stderr);
    Ok(())
}

/// More than the kernel holds for a receiver that asks for 32 MiB.
const BURST: u64 = 16_000;
