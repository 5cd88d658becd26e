//! What clients may ask: bombs, nesting, the slow and the large are bounded, and others are served
//! meanwhile. And what nobody is shown: secrets, and the engine's files.

use std::fmt::Write as _;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use libtest_mimic::Trial;

use super::memory::highest;
use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::http;
use crate::suite::test;

/// What stands in place of every secret.
const MARKER: &str = "hunter2";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("limits::requests::bombs_are_refused", bombs),
        test("limits::requests::nesting_is_refused", nesting),
        test("limits::requests::the_slow_and_the_large_hold_nobody_up", slow_and_large),
        test("limits::requests::bombs_in_grpc_are_refused", grpc_bombs),
        test("limits::requests::bodies_that_stand_still_hold_nothing", still_bodies),
        test("limits::requests::files_are_their_owner_s_alone", files_are_private),
        test("limits::requests::no_mistake_shows_a_secret", mistakes_show_no_secret),
        test("limits::requests::an_engine_at_work_shows_no_secret", work_shows_no_secret),
    ]
}

/// Zeros that unpack to a quarter of a gibibyte.
fn bomb() -> anyhow::Result<Vec<u8>> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..256 {
        packer.write_all(&zeros)?;
    }
    Ok(packer.finish()?)
}

/// Posts `body` and gives the status of the answer; 0 where the connection was just closed.
fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> anyhow::Result<u16> {
    let mut connection = TcpStream::connect(address)?;
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: heka\r\nConnection: close\r\n{headers}Content-Length: \
         {length}\r\n\r\n"
    );
    connection.write_all(head.as_bytes())?;
    // What is refused is not read to its end.
    let _ = connection.write_all(body);
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0))
}

fn expect(what: &str, found: u16, expected: &[u16]) -> anyhow::Result<()> {
    anyhow::ensure!(expected.contains(&found), "{what}: answered {found}, not {expected:?}");
    Ok(())
}

fn listeners(extra: &str) -> anyhow::Result<(Place, Engine)> {
    let place = Place::new(&format!(
        "[web]\ntype = 'HttpListenInput'\naddress = '127.0.0.1:0'\nsplitter = 'NullSplitter'\n\
         decoder = 'JsonDecoder'\nmax_body_bytes = '1MiB'\n[JsonDecoder]\n\
         [otlp]\ntype = 'OtlpInput'\naddress = '127.0.0.1:0'\nmax_body_bytes = '1MiB'\n{extra}"
    ))?;
    let engine = place.run(&[])?;
    Ok((place, engine))
}

fn bombs() -> anyhow::Result<()> {
    let (place, mut engine) = listeners(
        "[logs]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log\\.gz'\n\
         rescan_interval = '100ms'\n\
         [PayloadEncoder]\n[copy]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'logfile'\"\n\
         path = 'DIR/copy'\nencoder = 'PayloadEncoder'\nflush_interval = 10\n",
    )?;
    let bomb = bomb()?;
    let (web, otlp) = (engine.address("web")?, engine.address("otlp")?);
    let gzip = "Content-Encoding: gzip\r\n";
    let json = "Content-Type: application/json\r\n";
    let protobuf = "Content-Type: application/x-protobuf\r\n";
    expect("web", post(web, "/", gzip, &bomb)?, &[413])?;
    for form in [json, protobuf] {
        let code = post(otlp, "/v1/logs", &format!("{gzip}{form}"), &bomb)?;
        expect("otlp", code, &[413])?;
    }
    // Packed zeros without an end of line in a log: a record far too long, passed over.
    let mut packed = bomb;
    let mut line = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    line.write_all(b"\nafter it\n")?;
    packed.extend(line.finish()?);
    std::fs::create_dir_all(place.path("logs"))?;
    std::fs::write(place.path("logs/log.gz.part"), &packed)?;
    std::fs::rename(place.path("logs/log.gz.part"), place.path("logs/log.gz"))?;
    engine.wait_for("the line after the bomb", |_| {
        (place.read("copy") == "after it\n").then_some(())
    })?;
    let highest = highest(&engine)?;
    anyhow::ensure!(highest < 200 << 20, "{} MiB resident", highest >> 20);
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// A call of gRPC whose message is packed; gives what `grpc-status` says.
async fn call(address: SocketAddr, encoding: &str, packed: &[u8]) -> anyhow::Result<String> {
    let mut framed = vec![1];
    framed.extend_from_slice(&u32::try_from(packed.len())?.to_be_bytes());
    framed.extend_from_slice(packed);
    let connection = tokio::net::TcpStream::connect(address).await?;
    let (executor, io) = (TokioExecutor::new(), TokioIo::new(connection));
    let (mut sender, driver) = hyper::client::conn::http2::handshake(executor, io).await?;
    let driver = tokio::spawn(driver);
    let path = "opentelemetry.proto.collector.logs.v1.LogsService/Export";
    let request = axum::http::Request::post(format!("http://{address}/{path}"))
        .header("content-type", "application/grpc")
        .header("grpc-encoding", encoding)
        .body(axum::body::Body::from(framed))?;
    let response = sender.send_request(request).await?;
    let status = response.headers().get("grpc-status").context("no status in the head")?;
    let status = status.to_str()?.to_owned();
    driver.abort();
    Ok(status)
}

fn grpc_bombs() -> anyhow::Result<()> {
    let (_place, mut engine) = listeners("")?;
    let otlp = engine.address("otlp")?;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..64 {
        packer.write_all(&vec![0; 1 << 20])?;
    }
    let gzip = packer.finish()?;
    let zstd = zstd::bulk::compress(&vec![0; 64 << 20], 3)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Too large, and packed in a way that is not known.
    for (encoding, packed, expected) in [("gzip", &gzip, "3"), ("zstd", &zstd, "12")] {
        let status = runtime.block_on(call(otlp, encoding, packed))?;
        anyhow::ensure!(status == expected, "{encoding}: the status is {status}");
    }
    let highest = highest(&engine)?;
    anyhow::ensure!(highest < 200 << 20, "{} MiB resident", highest >> 20);
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// Many say that much will come and stop: whoever comes then finds room, small or large.
fn still_bodies() -> anyhow::Result<()> {
    let (_place, mut engine) = listeners("")?;
    let (web, otlp) = (engine.address("web")?, engine.address("otlp")?);
    let mut still = Vec::new();
    for address in [web, otlp] {
        for length in ["Content-Length: 1048576", "Transfer-Encoding: chunked"] {
            for _ in 0..70 {
                let mut connection = TcpStream::connect(address)?;
                let head = format!(
                    "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                     {length}\r\n\r\n5\r\nbegin"
                );
                connection.write_all(head.as_bytes())?;
                still.push(connection);
            }
        }
    }
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(1_000_000));
    let json = "Content-Type: application/json\r\n";
    for body in ["{}", &large] {
        expect("web", post(web, "/", "", body.as_bytes())?, &[200])?;
        expect("otlp", post(otlp, "/v1/logs", json, body.as_bytes())?, &[200])?;
    }
    drop(still);
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn nesting() -> anyhow::Result<()> {
    let (_place, mut engine) = listeners("")?;
    let (web, otlp) = (engine.address("web")?, engine.address("otlp")?);
    let deep = "[".repeat(500_000);
    let closed = format!("{{\"a\":{deep}{}}}", "]".repeat(500_000));
    let value = "{\"arrayValue\":{\"values\":[".repeat(10_000) + &"]}}".repeat(10_000);
    let body = format!(
        "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{value}}}]}}]}}]}}"
    );
    // What is below a key that is not known is passed over, however deep it is.
    for (json, answers) in [(&deep, [400]), (&closed, [200]), (&body, [400])] {
        // It cannot be decoded, which is no mistake of the request.
        expect("web", post(web, "/", "", json.as_bytes())?, &[200])?;
        let form = "Content-Type: application/json\r\n";
        expect("otlp", post(otlp, "/v1/logs", form, json.as_bytes())?, &answers)?;
    }
    // A value in a list in a value in a list …, of protobuf.
    let mut value = vec![0x0a, 0];
    while value.len() < 10_000 {
        for tag in [0x0a, 0x2a] {
            let mut outer = vec![tag];
            let mut length = value.len();
            while length >= 0x80 {
                outer.push(u8::try_from(length & 0x7f)? | 0x80);
                length >>= 7;
            }
            outer.push(u8::try_from(length)?);
            outer.append(&mut value);
            value = outer;
        }
    }
    let mut body = value;
    for tag in [0x2a, 0x12, 0x12, 0x0a] {
        let length = body.len();
        let mut outer = vec![tag, u8::try_from(length & 0x7f)? | 0x80, u8::try_from(length >> 7)?];
        outer.append(&mut body);
        body = outer;
    }
    let form = "Content-Type: application/x-protobuf\r\n";
    expect("protobuf", post(otlp, "/v1/logs", form, &body)?, &[400])?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// Who begins a request and does not go on has one place of many; who sends too much is refused.
fn slow_and_large() -> anyhow::Result<()> {
    let (_place, mut engine) = listeners(
        "[tcp]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\ndecoder = ''\n",
    )?;
    let (web, otlp, tcp) =
        (engine.address("web")?, engine.address("otlp")?, engine.address("tcp")?);
    let admin = engine.address("admin port")?;
    let mut slow = Vec::new();
    for address in [web, otlp, admin] {
        for begin in ["P", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbegin"] {
            let mut connection = TcpStream::connect(address)?;
            connection.write_all(begin.as_bytes())?;
            slow.push(connection);
        }
    }
    for _ in 0..20 {
        let mut connection = TcpStream::connect(tcp)?;
        connection.write_all(b"a line without an end")?;
        slow.push(connection);
    }
    let long = format!("X-Long: {}\r\n", "x".repeat(1 << 20));
    let large = vec![b' '; 2 << 20];
    for (name, address) in [("web", web), ("otlp", otlp), ("admin", admin)] {
        expect(name, post(address, "/v1/logs", &long, b"")?, &[431, 400, 0])?;
    }
    let json = "Content-Type: application/json\r\n";
    expect("web", post(web, "/", "", &large)?, &[413])?;
    expect("otlp", post(otlp, "/v1/logs", json, &large)?, &[413])?;
    expect("admin", post(admin, "/reload", "", &large)?, &[401, 403, 405, 413, 0])?;
    let claimed = format!("{json}Content-Length: 99999999999\r\n");
    expect("otlp", post(otlp, "/v1/logs", &claimed, b"")?, &[400, 413, 0])?;
    // All of them serve others all the same.
    expect("web", post(web, "/", "", b"{\"a\": 1}")?, &[200])?;
    expect("otlp", post(otlp, "/v1/logs", json, b"{}")?, &[200])?;
    anyhow::ensure!(http::ask(admin, "GET /metrics", "")?.status == 200);
    drop(slow);
    engine.stop()?.expect_code(0)?;
    Ok(())
}

fn files_are_private() -> anyhow::Result<()> {
    let place = Place::new(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n[count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
         message_matcher = 'TRUE'\nticker_interval = 1\n[PayloadEncoder]\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = 'TRUE'\npath = 'DIR/copy'\n\
         encoder = 'PayloadEncoder'\n",
    )?;
    place.write(
        "count.lua",
        "n = 0\nfunction process_message() n = n + 1 return 0 end\n\
         function timer_event() end\n",
    )?;
    let mut engine = place.run(&[])?;
    let mut lines = TcpStream::connect(engine.address("lines")?)?;
    lines.write_all(b"one\ntwo\n")?;
    engine.wait_for("the lines", |_| (!place.read("copy").is_empty()).then_some(()))?;
    let running = checked(&place.path("state"))?;
    anyhow::ensure!(running >= 4, "only {running} files were looked at");
    engine.stop()?.expect_code(0)?;
    let stopped = checked(&place.path("state"))?;
    anyhow::ensure!(stopped >= 4, "only {stopped} files were looked at");
    Ok(())
}

/// Fails where others than the owner may look at a file; says how many there are.
fn checked(folder: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Ok(about) = std::fs::symlink_metadata(&path) else { continue };
        if about.is_dir() {
            count += checked(&path)?;
            continue;
        }
        count += 1;
        let mode = about.permissions().mode();
        anyhow::ensure!(mode.trailing_zeros() >= 6, "{} has the mode {mode:o}", path.display());
    }
    Ok(count)
}

/// Every option of every kind that is a secret, by kind.
fn secret_options(place: &Place) -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let listed = place.heka(&["plugins"], "")?.expect_code(0)?.stdout;
    let mut kinds = Vec::new();
    for kind in listed.lines().filter_map(|line| line.split_whitespace().next()) {
        let told = place.heka(&["plugins", kind], "")?;
        let options = told.stdout.lines().filter_map(|line| line.trim_start().split_once(": "));
        let names: Vec<String> = options
            .filter(|(name, form)| form.starts_with("text") && is_secret(name))
            .map(|(name, _)| name.to_owned())
            .collect();
        if told.status.success() && !names.is_empty() {
            kinds.push((kind.to_owned(), names));
        }
    }
    Ok(kinds)
}

fn is_secret(name: &str) -> bool {
    let ends = ["password", "token", "api_key", "hmac_key", "secret", "passphrase"];
    !name.contains(['.', ' ']) && ends.iter().any(|end| name.ends_with(end))
}

/// Each secret of each kind beside a mistake, written in each way that shows the line.
fn mistakes_show_no_secret() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let kinds = secret_options(&place)?;
    let count: usize = kinds.iter().map(|(_, names)| names.len()).sum();
    anyhow::ensure!(count >= 10, "only {count} secrets were found: {kinds:?}");
    let mut config = String::new();
    for (kind, names) in &kinds {
        for name in names {
            let _ = writeln!(
                config,
                "[{kind}_{name}]\ntype = '{kind}'\n{name} = '{MARKER}'\nno_such_option = 1\n\
                 [{kind}_{name}_twice]\ntype = '{kind}'\n{name}_x = '{MARKER}'"
            );
        }
    }
    config += &format!(
        "[hekad.admin]\ntoken = '{MARKER}'\ntokn = 1\n\
         [tcp]\ntype = 'TcpInput'\nsigner_x = {{ hmac_key = '{MARKER}' }}\n"
    );
    for config in
        [config, format!("[web]\npassword = '{MARKER}\n"), format!("api_key = \"{MARKER}\" x\n")]
    {
        place.write("mistakes.toml", &config)?;
        let told = place.heka(&["check", "mistakes.toml"], "")?.expect_code(2)?;
        hides_the_marker("heka check", &(told.stderr + &told.stdout))?;
    }
    Ok(())
}

fn hides_the_marker(what: &str, text: &str) -> anyhow::Result<()> {
    let line = text.lines().find(|line| line.contains(MARKER));
    anyhow::ensure!(line.is_none(), "{what} shows a secret: {line:?}");
    Ok(())
}

fn work_shows_no_secret() -> anyhow::Result<()> {
    let config = format!(
        "[hekad]\nbase_dir = 'DIR/state'\n[hekad.admin]\naddress = '127.0.0.1:0'\n\
         token = '{MARKER}'\n\
         [web]\ntype = 'HttpListenInput'\naddress = '127.0.0.1:0'\nauth_type = 'Basic'\n\
         username = 'u'\npassword = '{MARKER}'\ndecoder = ''\nsplitter = 'NullSplitter'\n\
         [poll]\ntype = 'HttpInput'\nurl = 'http://127.0.0.1:9/'\nticker_interval = 1\n\
         user = 'u'\npassword = '{MARKER}'\n\
         [PayloadEncoder]\n[to]\ntype = 'HttpOutput'\naddress = 'http://127.0.0.1:9/'\n\
         message_matcher = 'TRUE'\nencoder = 'PayloadEncoder'\nusername = 'u'\n\
         password = '{MARKER}'\n"
    );
    let place = Place::new(&config)?;
    let mut engine = place.run(&["--log-level", "heka=trace,hyper=debug,reqwest=debug"])?;
    let web = engine.address("web")?;
    let admin = engine.address("admin port")?;
    let key = "Authorization: Basic dTpodW50ZXIy\r\n";
    expect("web", post(web, "/", key, b"a message")?, &[200])?;
    expect("web", post(web, "/", "", b"a message")?, &[401])?;
    engine.wait_for("the output to fail", |engine| {
        engine.stderr().contains("an output failed").then_some(())
    })?;
    let shown = format!("Authorization: Bearer {MARKER}\r\n");
    for path in ["/metrics", "/status", "/health", "/report", "/"] {
        let answer = http::ask(admin, &format!("GET {path}"), &shown)?;
        hides_the_marker(path, &answer.body)?;
    }
    engine.signal(nix::sys::signal::Signal::SIGUSR1)?;
    // A reload that fails tells of the line, in the log.
    place.configure(&format!("{config}[x]\ntype = 'TcpInput'\npassword = '{MARKER}'\n"))?;
    engine.signal(nix::sys::signal::Signal::SIGHUP)?;
    engine.wait_for("the reload to fail", |engine| {
        engine.stderr().contains("nothing was changed").then_some(())
    })?;
    let ended = engine.stop()?;
    hides_the_marker("stderr", &ended.stderr)?;
    hides_the_marker("stdout", &ended.stdout)?;
    anyhow::ensure!(!ended.stderr.contains("dTpodW50ZXIy"), "the log shows a header");
    ended.status.success().then_some(()).context("it failed")
}
