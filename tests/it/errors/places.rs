//! Places where nobody listens: every input and output that connects says whom it cannot reach, and filters
//! are told.

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;

use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::server::free_port;
use crate::suite::test;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test("errors::outputs_say_whom_they_cannot_reach", outputs),
        test("errors::inputs_say_whom_they_cannot_reach", inputs),
        test("errors::filters_are_told_when_it_works_again", back),
        test("errors::filters_are_told_of_what_is_not_read_or_written", unreadable),
    ]
}

/// What prints the messages about plugins that a filter would select.
const TOLD: &str = "[told]\ntype = 'LogOutput'\nencoder = 'said'\n\
    message_matcher = \"Type =~ /^heka\\\\.plugin-/ || Type == 'daemon.down'\"\n\
    [said]\ntype = 'TemplateEncoder'\nescape = 'none'\nappend_newlines = true\n\
    template = '%{Type} %{Severity} %{plugin}%{Logger}: %{Payload}'\n";

/// Outputs that connect, with what is needed besides the matcher, and what is built only with a feature.
const OUTPUTS: [(&str, &str, &str); 15] = [
    ("TcpOutput", "address = '127.0.0.1:PORT'", ""),
    ("CarbonOutput", "address = '127.0.0.1:PORT'", ""),
    ("HttpOutput", "encoder = 'PayloadEncoder'\naddress = 'http://127.0.0.1:PORT/'", ""),
    ("ElasticSearchOutput", "encoder = 'ESJsonEncoder'\nserver = 'http://127.0.0.1:PORT'", ""),
    (
        "AMQPOutput",
        "url = 'amqp://guest:guest@127.0.0.1:PORT/'\nexchange = 'x'\nexchange_type = 'topic'\nexchange_durability = true\nexchange_auto_delete = false",
        "",
    ),
    ("NatsOutput", "servers = ['127.0.0.1:PORT']\nsubject = 'x'", ""),
    ("KafkaOutput", "addrs = ['127.0.0.1:PORT']\ntopic = 'x'", "kafka"),
    (
        "SmtpOutput",
        "encoder = 'PayloadEncoder'\nhost = '127.0.0.1:PORT'\nsend_to = ['x@example.com']",
        "",
    ),
    ("NagiosOutput", "nsca_address = '127.0.0.1:PORT'", ""),
    ("NagiosOutput", "url = 'http://127.0.0.1:PORT/cmd.cgi'", ""),
    ("NagiosOutput", "nrdp_url = 'http://127.0.0.1:PORT/nrdp/'\nnrdp_token = 'x'", ""),
    ("OtlpOutput", "address = 'http://127.0.0.1:PORT'", ""),
    ("PrometheusRemoteWriteOutput", "address = 'http://127.0.0.1:PORT/api/v1/write'", ""),
    (
        "CassandraOutput",
        "nodes = ['127.0.0.1:PORT']\nkeyspace = 'heka'\ntime_series = 'points'",
        "cassandra",
    ),
    ("NagiosOutput", "command_file = 'DIR/nobody-reads-this'", ""),
];

/// Inputs that ask or connect.
const INPUTS: [(&str, &str, &str); 14] = [
    ("RedisInput", "address = '127.0.0.1:PORT'", ""),
    ("MemcachedInput", "address = '127.0.0.1:PORT'", ""),
    ("NginxStatusInput", "url = 'http://127.0.0.1:PORT/nginx_status'", ""),
    ("ApacheStatusInput", "url = 'http://127.0.0.1:PORT/server-status?auto'", ""),
    ("HaproxyInput", "url = 'http://127.0.0.1:PORT/stats'", ""),
    ("PostgresqlInput", "address = '127.0.0.1:PORT'\nusername = 'x'", ""),
    ("MysqlInput", "address = '127.0.0.1:PORT'\nusername = 'x'", ""),
    ("CassandraInput", "address = '127.0.0.1:PORT'", "cassandra"),
    ("RabbitmqInput", "url = 'http://127.0.0.1:PORT'", ""),
    ("PrometheusInput", "url = 'http://127.0.0.1:PORT/metrics'", ""),
    ("HttpInput", "url = 'http://127.0.0.1:PORT/x'", ""),
    (
        "AMQPInput",
        "url = 'amqp://guest:guest@127.0.0.1:PORT/'\nexchange = 'x'\nexchange_type = 'topic'\nqueue = 'x'\nrouting_key = '#'\nexchange_durability = true\nexchange_auto_delete = false\nqueue_durability = true\nqueue_auto_delete = false",
        "",
    ),
    ("NatsInput", "servers = ['127.0.0.1:PORT']\nstream = 'X'\nconsumer = 'heka'", ""),
    ("KafkaInput", "addrs = ['127.0.0.1:PORT']\ntopic = 'x'\ngroup = 'g'", "kafka"),
];

fn is_here(feature: &str) -> bool {
    match feature {
        "kafka" => cfg!(feature = "kafka"),
        "cassandra" => cfg!(feature = "cassandra"),
        _ => true,
    }
}

/// Sections of those that this build has, by the names `it-0`, `it-1` and so on, and where each goes.
fn sections(
    rows: &[(&str, &str, &str)],
    port: u16,
    common: &str,
) -> (String, Vec<(String, String)>) {
    let mut config = String::new();
    let mut expected = Vec::new();
    for (number, (kind, settings, feature)) in rows.iter().enumerate() {
        if !is_here(feature) {
            continue;
        }
        config.push_str(&format!("[it-{number}]\ntype = '{kind}'\n{common}{settings}\n"));
        let place = if settings.contains("PORT") {
            format!("127.0.0.1:{port}")
        } else {
            "nobody-reads-this".to_owned()
        };
        expected.push((format!("it-{number}"), place));
    }
    (config.replace("PORT", &port.to_string()), expected)
}

/// Waits until a line with all of these words is there.
fn expect_line(
    engine: &mut Engine,
    text: fn(&Engine) -> String,
    words: &[&str],
) -> anyhow::Result<()> {
    engine.wait_for(&words.join(", "), |engine| {
        let has = |line: &str| words.iter().all(|word| line.contains(word));
        text(engine).lines().any(has).then_some(())
    })
}

fn outputs() -> anyhow::Result<()> {
    let common =
        "message_matcher = \"Type == 'x'\"\nretries = { delay = '10ms', max_delay = '100ms' }\n";
    let (config, expected) = sections(&OUTPUTS, free_port()?, common);
    let place = Place::new(&format!(
        "[StdinInput]\ndecoder = 'lines'\n[lines]\ntype = 'SandboxDecoder'\nfilename = 'DIR/lines.lua'\n{TOLD}{config}"
    ))?;
    place.write(
        "lines.lua",
        "function process_message()\n  write_message('Type', 'x')\n  write_message('Fields[n]', 1)\n  \
         return 0\nend\n",
    )?;
    let mut engine = place.run_with(&[], "stats.x 1 1500000000\n")?;
    for (name, place) in &expected {
        expect_line(&mut engine, Engine::stderr, &[&format!("output=\"{name}\""), place])?;
        expect_line(&mut engine, Engine::stdout, &["heka.plugin-failed 4", name, place])?;
    }
    engine.stop()?;
    Ok(())
}

fn inputs() -> anyhow::Result<()> {
    let common = "retries = { delay = '10ms', max_delay = '100ms' }\n";
    let (config, expected) = sections(&INPUTS, free_port()?, common);
    let place = Place::new(&format!("{TOLD}{config}"))?;
    let mut engine = place.run(&[])?;
    for (name, place) in &expected {
        expect_line(&mut engine, Engine::stdout, &[name, place])?;
    }
    engine.stop()?;
    Ok(())
}

/// Takes what comes and says so.
fn answer(listener: &TcpListener) -> anyhow::Result<()> {
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut request = [0; 4096];
        while stream.read(&mut request)? > 0 {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
    }
    Ok(())
}

fn back() -> anyhow::Result<()> {
    let port = free_port()?;
    let output = |name: &str, retries: &str| {
        format!(
            "[{name}]\ntype = 'HttpOutput'\nmessage_matcher = \"Type == 'stdin'\"\n\
             encoder = 'PayloadEncoder'\naddress = 'http://127.0.0.1:{port}/'\n\
             retries = {{ delay = '10ms', max_delay = '100ms'{retries} }}\n"
        )
    };
    let place = Place::new(&format!(
        "[PayloadEncoder]\nappend_newlines = false\n\
         [StdinInput]\ndecoder = ''\nsplitter = 'TokenSplitter'\n{TOLD}{}{}can_exit = true\n",
        output("away", ""),
        output("stops", ", max_retries = 1")
    ))?;
    let mut engine = place.run_with(&[], "x\n")?;
    expect_line(&mut engine, Engine::stdout, &["heka.plugin-failed 4 away"])?;
    expect_line(&mut engine, Engine::stdout, &["heka.plugin-failed 3 stops", "no retry is left"])?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    std::thread::spawn(move || answer(&listener));
    expect_line(&mut engine, Engine::stdout, &["heka.plugin-back 6 away"])?;
    let stdout = engine.stop()?.stdout;
    let failed = stdout.matches("heka.plugin-failed 4 away").count();
    anyhow::ensure!(failed == 1, "it was told {failed} times:\n{stdout}");
    Ok(())
}

/// A record that is no JSON, and a message that lacks what a template needs.
fn unreadable() -> anyhow::Result<()> {
    let place = Place::new(&format!(
        "[StdinInput]\nsplitter = 'TokenSplitter'\ndecoder = 'JsonDecoder'\n[JsonDecoder]\n{TOLD}\
         [out]\ntype = 'LogOutput'\nmessage_matcher = \"Type == 'json'\"\nencoder = 'strict'\n\
         [strict]\ntype = 'TemplateEncoder'\nrequire_all = true\ntemplate = 'amount %{{amount}}'\n"
    ))?;
    let input = "no json\nnor this\n{\"x\":1}\n{\"x\":2}\n{\"amount\":3}\n";
    let mut engine = place.run_with(&["--until-done"], input)?;
    expect_line(&mut engine, Engine::stdout, &["heka.plugin-failed 4 StdinInput", "JSON"])?;
    expect_line(&mut engine, Engine::stdout, &["heka.plugin-failed 4 out", "amount"])?;
    let stdout = engine.finish()?.stdout;
    let failed = stdout.matches("heka.plugin-failed").count();
    anyhow::ensure!(failed == 2 && stdout.contains("amount 3"), "{stdout}");
    Ok(())
}
