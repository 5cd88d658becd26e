//! What a network does to an agent, and what strangers say to an aggregator.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context;
use heka::formats::agent;
use heka::formats::agent::Hello;
use heka::formats::agent::Word;
use libtest_mimic::Trial;

use super::agent_place;
use super::expect_lines;
use super::lines;
use super::metric;
use super::proxy::Proxy;
use super::proxy::Way;
use super::start_aggregator;
use crate::harness::moments::Moments;
use crate::suite::test;

const LINES: usize = 20_000;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test("agents::connections_cut_within_a_frame_lose_nothing", cut),
        test("agents::a_half_open_connection_is_given_up", half_open),
        test("agents::a_slow_network_is_waited_for", slow),
        test("agents::who_reads_a_byte_a_second_holds_nobody_else", byte_a_second),
        test("agents::what_is_no_agent_is_told_why", strangers),
        test("agents::who_reads_no_answers_is_no_longer_listened_to", deaf),
        test("agents::frames_of_heka_are_taken_on_the_same_port", same_port),
    ]
}

fn through(ways: &[Way], settings: &str, lines: usize) -> anyhow::Result<()> {
    let (place, mut aggregator, address) = start_aggregator("")?;
    let proxy = Proxy::to(address, ways)?;
    let agent = agent_place(&[proxy.address], settings, lines)?;
    let sender = agent.run(&["--until-done"])?;
    let finished = sender.finish()?.expect_code(0)?;
    anyhow::ensure!(proxy.is_through(), "it went well too early: {}", finished.stderr);
    expect_lines(&place, &mut aggregator, lines)?;
    let gaps = metric(&mut aggregator, "heka_agent_gaps_total")?;
    anyhow::ensure!(gaps == 0.0, "{gaps} gaps");
    Ok(())
}

fn cut() -> anyhow::Result<()> {
    let mut moments = Moments::new()?;
    let mut after = || usize::try_from(moments.below(60_000)).unwrap_or(0);
    // Within the hello, within a head, and anywhere.
    let mut ways = vec![Way::Cut { after: 7 }, Way::Cut { after: 95 }];
    ways.extend((0..6).map(|_| Way::Cut { after: after() }));
    // The last way is open, and all of it has to be gone.
    let ended = through(&ways, "", LINES * 3);
    ended.map_err(|error| error.context(format!("HEKA_SEED={}", moments.seed)))
}

fn half_open() -> anyhow::Result<()> {
    through(&[Way::Mute { after: 3_000 }, Way::Mute { after: 90 }], "ack_timeout = '1s'", LINES)
}

fn slow() -> anyhow::Result<()> {
    let pause = Duration::from_millis(1);
    through(&[Way::Slow { bytes: 100, pause }], "ack_timeout = '20s'", 2_000)
}

/// Reads a byte a second of each connection that is made to it.
fn reads_slowly() -> anyhow::Result<std::net::SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            std::thread::spawn(move || {
                while connection.read(&mut [0]).is_ok_and(|read| read > 0) {
                    std::thread::sleep(Duration::from_secs(1));
                }
            });
        }
    });
    Ok(address)
}

/// Both protocols send to a peer that hardly reads, and a file gets all; then they are stopped.
fn byte_a_second() -> anyhow::Result<()> {
    let lines_ = 200_000;
    let agent = agent_place(&[reads_slowly()?], "ack_timeout = '20s'", lines_)?;
    let config = agent.read("heka.toml");
    let more = format!(
        "[plain]\ntype = 'TcpOutput'\nmessage_matcher = \"Type == 'logfile'\"\naddress = '{}'\n\
         [PayloadEncoder]\nappend_newlines = false\n\
         [write]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'logfile'\"\n\
         path = 'DIR/out'\nencoder = 'PayloadEncoder'\n",
        reads_slowly()?
    );
    agent.write(
        "heka.toml",
        &(config + &more.replace("DIR", &agent.path("").display().to_string())),
    )?;
    let mut sender = agent.run(&[])?;
    expect_lines(&agent, &mut sender, lines_)?;
    sender.stop()?.expect_code(0)?;
    Ok(())
}

/// An agent sends what is known already, again and again, and reads none of the acknowledgements.
fn deaf() -> anyhow::Result<()> {
    let (_place, mut aggregator, address) = start_aggregator("")?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_write_timeout(Some(Duration::from_secs(3)))?;
    let hello = Hello {
        has_others: false,
        has_lost_its_end: false,
        journal: [4; 16],
        acknowledged: 10,
        run: 1,
        name: "deaf".to_owned(),
        stream: "send".to_owned(),
    };
    let mut bytes = Vec::new();
    agent::put(&mut bytes, &Word::Hello(hello));
    stream.write_all(&bytes)?;
    let head = agent::BatchHead {
        journal: [4; 16],
        before: 4,
        first: 5,
        last: 5,
        plain: 0,
        is_compressed: false,
    };
    bytes.clear();
    for _ in 0..1000 {
        agent::put(&mut bytes, &Word::Batch(head.clone(), b""));
    }
    let most = 60 << 20;
    let mut sent = 0;
    while sent < most && stream.write_all(&bytes).is_ok() {
        sent += bytes.len();
    }
    anyhow::ensure!(sent < most, "{sent} bytes were taken of one that does not read");
    let served = metric(&mut aggregator, "heka_agents_connected")?;
    anyhow::ensure!(served == 1.0, "{served} agents");
    Ok(())
}

/// What an aggregator answers to these bytes, until it closes.
fn answer(address: std::net::SocketAddr, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn strangers() -> anyhow::Result<()> {
    let (_place, mut aggregator, address) = start_aggregator("")?;
    let hello = Hello {
        has_others: false,
        has_lost_its_end: false,
        journal: [3; 16],
        acknowledged: 0,
        run: 1,
        name: "stranger".to_owned(),
        stream: "send".to_owned(),
    };
    let mut hello_bytes = Vec::new();
    agent::put(&mut hello_bytes, &Word::Hello(hello));
    let mut newer = Vec::new();
    let done: Result<(), ()> = agent::put_with(&mut newer, 1, |out| {
        out.extend_from_slice(b"HEKA\x09\x00something else");
        Ok(())
    });
    anyhow::ensure!(done.is_ok());
    let mut damaged = hello_bytes.clone();
    *damaged.last_mut().context("a hello has bytes")? ^= 1;
    let mut large = hello_bytes.clone();
    large.extend_from_slice(&[agent::MAGIC, 3, 255, 255, 255, 255, 0, 0, 0, 0]);
    let mut bomb = hello_bytes.clone();
    let head = agent::BatchHead {
        journal: [3; 16],
        before: 0,
        first: 1,
        last: 1,
        plain: 1000,
        is_compressed: true,
    };
    let data = zstd::bulk::compress(&vec![0; 50_000_000], 1)?;
    agent::put(&mut bomb, &Word::Batch(head, &data));
    for (bytes, expected) in [
        (newer, "it speaks version 9"),
        (damaged, "checksum"),
        (large, "4294967295 bytes"),
        (bomb, "damaged"),
    ] {
        let told = answer(address, &bytes)?;
        let text = String::from_utf8_lossy(&told);
        anyhow::ensure!(text.contains(expected), "{expected}: {text}");
    }
    let stderr = aggregator.stderr();
    anyhow::ensure!(!stderr.contains("panicked"), "{stderr}");
    metric(&mut aggregator, "heka_agents_connected")?;
    Ok(())
}

fn same_port() -> anyhow::Result<()> {
    let (place, mut aggregator, address) = start_aggregator("")?;
    let agent = agent_place(&[address], "", 100)?;
    let config = agent.read("heka.toml").replace("protocol = 'ack'", "protocol = 'heka'");
    agent.write("heka.toml", &config)?;
    agent.run(&["--until-done"])?.finish()?.expect_code(0)?;
    expect_lines(&place, &mut aggregator, 100)?;
    let other = agent_place(&[address], "", 0)?;
    other.write("logs/log", &lines(100, 200))?;
    other.run(&["--until-done"])?.finish()?.expect_code(0)?;
    expect_lines(&place, &mut aggregator, 200)
}
