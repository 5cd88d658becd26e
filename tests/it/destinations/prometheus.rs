//! Numbers in a real Prometheus, which scrapes them and is written to.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use libtest_mimic::Trial;

use super::answer::expect_answer;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    vec![test_with(
        &["prometheus", "curl"],
        "destinations::prometheus_scrapes_and_is_written_to",
        scrapes_and_is_written_to,
    )]
}

fn start(place: &Place, port: u16) -> anyhow::Result<Server> {
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", place.path("prometheus.yml").display()));
    command.arg(format!("--storage.tsdb.path={}", place.path("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.arg("--web.enable-remote-write-receiver");
    Server::start(command, port)
}

fn scrapes_and_is_written_to() -> anyhow::Result<()> {
    const SAMPLES: usize = 400;
    let (port, shown) = (free_port()?, free_port()?);
    let place = Place::new(&format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = 'pairs'\n\
         [pairs]\ntype = 'LogfmtDecoder'\nTimestamp = ['t']\ntimestamp_layout = 'EpochMilli'\n\
         [show]\ntype = 'PrometheusOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         address = '127.0.0.1:{shown}'\nencoder = 'numbers'\n\
         [write]\ntype = 'PrometheusRemoteWriteOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         address = 'http://127.0.0.1:{port}/api/v1/write'\nencoder = 'numbers'\nflush_count = 50\n\
         retries = {{ delay = '50ms', max_delay = '200ms' }}\n\
         [numbers]\ntype = 'PrometheusEncoder'\nmetric_prefix = 'heka_'\nlabel_fields = ['host']\n\
         labels = {{ way = '%{{Type}}' }}\n"
    ))?;
    place.write(
        "prometheus.yml",
        &format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: heka\n  \
             honor_labels: true\n  static_configs: [{{targets: ['127.0.0.1:{shown}']}}]\n"
        ),
    )?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let line = |number: usize| {
        // A sample a tenth of a second, the last one now.
        let time = now - 100 * (SAMPLES - number) as u128;
        format!("t={time} host=a n={number}\n")
    };
    let mut server = Some(start(&place, port)?);
    for number in 0..SAMPLES {
        if number == SAMPLES / 2 {
            server = None;
        }
        stream.write_all(line(number).as_bytes())?;
    }
    anyhow::ensure!(server.is_none(), "it is killed");
    engine.wait_for("it to be missed", |engine| {
        engine.stderr().contains("cannot reach").then_some(())
    })?;
    let _server = start(&place, port)?;
    let ask = |query: &str| {
        let url = format!("http://127.0.0.1:{port}/api/v1/query");
        ["-G".to_owned(), url, "--data-urlencode".to_owned(), format!("query={query}")]
    };
    let written = ask("count_over_time(heka_n{way=\"lines\",job=\"\"}[1h])");
    let written: Vec<_> = written.iter().map(String::as_str).collect();
    expect_answer(&mut engine, &written, &format!("\"{SAMPLES}\"]"))?;
    let scraped = ask("max_over_time(heka_n{way=\"lines\",host=\"a\",job=\"heka\"}[1h])");
    let scraped: Vec<_> = scraped.iter().map(String::as_str).collect();
    expect_answer(&mut engine, &scraped, &format!("\"{}\"]", SAMPLES - 1))?;
    // What is older than what is stored is refused, and says so.
    stream.write_all(b"t=1000000000 host=a n=1\n")?;
    engine.wait_for("the reason", |engine| {
        engine.stderr().contains("a record was refused").then_some(())
    })?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
