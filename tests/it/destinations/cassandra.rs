//! Rows in a real Cassandra, which is killed under load.

use std::io::Write;
use std::net::TcpStream;

use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::cassandra;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::tls::certificates::Authority;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        cassandra::trial("destinations::cassandra_holds_each_row_once", each_row_once),
        cassandra::trial("destinations::cassandra_is_written_to_over_tls", over_tls),
    ]
}

const ACCESS: &str = "nodes = ['127.0.0.1:PORT']\nkeyspace = 'heka'\nusername = 'cassandra'\n\
    password = 'cassandra'\nmessage_matcher = \"Type == 'lines'\"\n\
    retries = { delay = '100ms', max_delay = '500ms' }\n";

/// Three ways to write what comes in as lines.
fn config(port: u16) -> String {
    format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = 'pairs'\n\
         [pairs]\ntype = 'LogfmtDecoder'\nTimestamp = ['t']\ntimestamp_layout = 'EpochMilli'\n\
         [rows]\ntype = 'CassandraOutput'\n{ACCESS}create_schema = true\n\
         schema = ['CREATE TABLE IF NOT EXISTS lines (day date, at timestamp, id uuid, n int, \
         fields map<text, text>, PRIMARY KEY (day, at, id))', \
         'CREATE TABLE IF NOT EXISTS hosts (host text PRIMARY KEY, lines counter)']\n\
         table = 'lines'\nmax_batch_rows = 30\n\
         columns = {{ day = '%{{Timestamp}}', at = '%{{Timestamp}}', id = '%{{Position}}', n = '%{{n}}', \
         fields = '%{{Fields}}' }}\n\
         [series]\ntype = 'CassandraOutput'\n{ACCESS}create_schema = true\n\
         time_series = 'points'\nname_prefix = '%{{Type}}.'\nfields = ['n']\n\
         [counted]\ntype = 'CassandraOutput'\n{ACCESS}create_schema = true\n\
         statement = 'UPDATE hosts SET lines = lines + :one WHERE host = :host'\n\
         columns = {{ one = '1', host = '%{{host}}' }}\n"
    )
    .replace("PORT", &port.to_string())
}

/// Waits until a statement is answered so.
fn expect_rows(engine: &mut Engine, port: u16, ask: &str, rows: &str) -> anyhow::Result<()> {
    let last = std::cell::RefCell::new(String::new());
    let waited = engine.wait_for(ask, |_| {
        let answer = cassandra::ask(port, ask).unwrap_or_else(|error| format!("{error:#}"));
        let is_it = answer == rows;
        *last.borrow_mut() = answer;
        is_it.then_some(())
    });
    waited.map_err(|error| error.context(format!("the last answer was {}", last.borrow())))
}

fn each_row_once() -> anyhow::Result<()> {
    const LINES: usize = 4000;
    // Two and a half days of a line a minute, long ago.
    let line =
        |number: usize| format!("t={} host=a n={number}\n", 1_500_000_000_000 + 60_000 * number);
    let (port, storage_port) = (free_port()?, free_port()?);
    let place = Place::new(&config(port))?;
    let start = || Server::start(cassandra::node(&place, port, storage_port)?, port);
    let mut node = Some(start()?);
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    for number in 0..LINES / 2 {
        stream.write_all(line(number).as_bytes())?;
    }
    expect_rows(&mut engine, port, "SELECT n FROM heka.lines WHERE n = 7 ALLOW FILTERING", "7\n")?;
    for number in LINES / 2..LINES {
        if number == LINES * 3 / 4 {
            // Killed under load.
            node = None;
        }
        stream.write_all(line(number).as_bytes())?;
    }
    anyhow::ensure!(node.is_none(), "it is killed");
    engine.wait_for("it to be missed", |engine| {
        engine.stderr().contains("cannot reach cassandra").then_some(())
    })?;
    let _node = start()?;
    for table in ["lines", "points"] {
        let ask = format!("SELECT count(*) FROM heka.{table}");
        expect_rows(&mut engine, port, &ask, &format!("{LINES}\n"))?;
    }
    // What is no number is refused alone, what stands beside it is stored.
    let refused = line(LINES).replace(&format!("n={LINES}"), "n=word");
    stream.write_all((refused + &line(LINES + 1)).as_bytes())?;
    expect_rows(&mut engine, port, "SELECT count(*) FROM heka.lines", &format!("{}\n", LINES + 1))?;
    engine.wait_for("the reason", |engine| {
        engine.stderr().contains("`word` is no int").then_some(())
    })?;
    // A counter has no key: one that was sent again may count twice.
    engine.wait_for("every line to be counted", |_| {
        let ask = "SELECT lines FROM heka.hosts WHERE host = 'a'";
        let counted = cassandra::ask(port, ask).ok()?.trim().parse::<usize>().ok()?;
        (counted >= LINES + 2).then_some(())
    })?;
    engine.stop()?.expect_code(0)?;
    ask_for_trends(port)
}

/// Asks what the schema was made for.
fn ask_for_trends(port: u16) -> anyhow::Result<()> {
    // The day has 1 200 lines from 1 280 on, 60 in an hour.
    let host = cassandra::ask(port, "SELECT host FROM heka.points LIMIT 1")?;
    let host = host.trim();
    let trend = format!(
        "SELECT floor(at, 1h), avg(value), max(value) FROM heka.points \
         WHERE name = 'lines.n' AND host = '{host}' AND day = '2017-07-15' \
         GROUP BY name, host, day, floor(at, 1h)"
    );
    let answer = cassandra::ask(port, &trend)?;
    let hours: Vec<&str> = answer.lines().collect();
    anyhow::ensure!(hours.len() == 24, "{trend}: {answer}");
    // From midnight on: the line of 00:00 is number 1 280.
    let last = hours.last().copied().unwrap_or_default();
    anyhow::ensure!(last == "1500076800000 1309.5 1339", "{last}");
    Ok(())
}

/// What makes a node speak TLS, and ask its clients for a certificate; with `is_plain_too` it also speaks
/// without.
fn encrypted(place: &Place, is_plain_too: bool) -> anyhow::Result<String> {
    let folder = place.path("tls").display().to_string();
    let both = place.read("tls/node.key") + &place.read("tls/node.pem");
    place.write("tls/node.both", &both)?;
    Ok(format!(
        "client_encryption_options:\n  enabled: true\n  optional: {is_plain_too}\n  \
         require_client_auth: true\n  ssl_context_factory:\n    \
         class_name: org.apache.cassandra.security.PEMBasedSslContextFactory\n  \
         keystore: {folder}/node.both\n  truststore: {folder}/ours.pem\n"
    ))
}

/// Messages to a node that speaks nothing but TLS, and asks for certificates.
fn over_tls() -> anyhow::Result<()> {
    let (port, storage_port) = (free_port()?, free_port()?);
    let config = |tls: &str| {
        format!(
            "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
             decoder = 'pairs'\n[pairs]\ntype = 'LogfmtDecoder'\n\
             [series]\ntype = 'CassandraOutput'\n{ACCESS}create_schema = true\n\
             time_series = 'points'\n{tls}"
        )
        .replace("PORT", &port.to_string())
    };
    let place = Place::new("")?;
    let folder = place.path("tls");
    let ours = Authority::new(&folder, "ours")?;
    ours.sign("node", &["cassandra.example.com"])?;
    ours.sign("client", &["client"])?;
    Authority::new(&folder, "theirs")?.sign("stranger", &["client"])?;
    let start = |is_plain_too: bool| {
        let more = encrypted(&place, is_plain_too)?;
        Server::start(cassandra::node_with(&place, port, storage_port, &more)?, port)
    };
    let tls = |root: &str, certificate: &str, name: &str| {
        format!(
            "use_tls = true\n[series.tls]\nroot_cafile = 'DIR/tls/{root}.pem'\n\
             cert_file = 'DIR/tls/{certificate}.pem'\nkey_file = 'DIR/tls/{certificate}.key'\n\
             server_name = '{name}'\n"
        )
    };
    let node = start(false)?;
    let name = "cassandra.example.com";
    for (settings, told) in [
        (String::new(), "give `use_tls = true`"),
        (tls("theirs", "client", name), "is `root_cafile` the authority of the nodes"),
        (tls("ours", "client", "elsewhere.example.com"), "is their certificate for the address"),
        (tls("ours", "client", ""), "is their certificate for the address"),
        (tls("ours", "stranger", name), "cannot reach cassandra"),
    ] {
        place.configure(&config(&settings))?;
        let mut engine = place.run(&[])?;
        let mut stream = TcpStream::connect(engine.address("lines")?)?;
        stream.write_all(b"n=1\n")?;
        engine.wait_for(told, |engine| engine.stderr().contains(told).then_some(()))?;
        engine.stop()?;
    }
    // It ends well when everything is delivered, what the others could not send too.
    place.configure(&config(&tls("ours", "client", name)))?;
    let mut engine = place.run(&["--until-done", "--idle", "1s"])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    stream.write_all(b"n=6\n")?;
    drop(stream);
    engine.finish()?.expect_code(0)?;
    drop(node);
    // It is asked without TLS.
    let _node = start(true)?;
    let mut engine = place.run(&[])?;
    let ask = "SELECT count(*), max(value) FROM heka.points";
    expect_rows(&mut engine, port, ask, "6 6\n")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
