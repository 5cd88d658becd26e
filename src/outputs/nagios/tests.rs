//! Tests of the ways to Nagios.

use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::extract::Request;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;
use crate::message::Builder;
use crate::outputs::testing;

fn output(settings: &str) -> NagiosOutput {
    toml::from_str(settings).unwrap()
}

/// A load of checks of the service `cpu` on `web`.
fn load(records: &[&str]) -> Load {
    let mut load = testing::load(&records.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
    let write = |_, builder: &mut Builder<'_>| {
        builder.hostname(b"web").logger(b"cpu").message_type(b"a;b");
    };
    load.messages = testing::made(u16::try_from(records.len()).unwrap(), write);
    load
}

fn check(settings: &str, record: &str, expected: Result<(&str, &str, u8, &str), &str>) {
    let mut output = output(settings);
    let found = output.check_of(&load(&[record])).map_err(|error| error.to_string());
    let expected = expected.map(|(host, service, state, text)| Check {
        host: host.to_owned(),
        service: service.to_owned(),
        state,
        text: text.to_owned(),
    });
    assert_eq!(found, expected.map_err(str::to_owned), "{record}");
}

#[test]
fn a_record_is_a_state_and_a_text() {
    check("", "OK: fine | a=1\n", Ok(("web", "cpu", 0, "fine | a=1")));
    check("", "warning:x", Ok(("web", "cpu", 1, "x")));
    check("", "CRITICAL", Ok(("web", "cpu", 2, "CRITICAL")));
    check("", "at 12:30 it broke", Ok(("web", "cpu", 3, "at 12:30 it broke")));
    check("", "UNKNOWN: a\nb\n[1] c;d\n", Ok(("web", "cpu", 3, "a\\nb\\n[1] c;d")));
    check("host_check = true", "DOWN: away", Ok(("web", "", 1, "away")));
    check("nagios_host = 'h'\nnagios_service_description = 's-%{Logger}'", "OK: x", {
        Ok(("h", "s-cpu", 0, "x"))
    });
    check("nagios_host = '%{Type}'", "OK: x", {
        Err("\"a;b\" is no name for Nagios: it has no `;` and no control characters")
    });
    check("nagios_host = '%{none}'", "OK: x", {
        Err("the message has no `none`, which `%{none}` asks for")
    });
}

#[test]
fn a_command_is_cut_to_what_a_pipe_takes() {
    let text = "é".repeat(3000);
    let check = Check { host: "h".into(), service: "s".into(), state: 1, text };
    let command = check.command(4096);
    assert!(command.len() <= 4096 && command.ends_with("é\n"), "{}", command.len());
    assert!(command.contains("] PROCESS_SERVICE_CHECK_RESULT;h;s;1;éé"), "{command}");
}

#[tokio::test]
async fn a_packet_of_nsca_is_read_as_it_was_meant() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut output = output(&format!("nsca_address = '{address}'\nnsca_password = 'pw'"));
    output.open(&testing::context("nagios")).await.unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [7; 132];
        head[128..].copy_from_slice(&99_u32.to_be_bytes());
        stream.write_all(&head).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    });
    output.send(&mut load(&["CRITICAL: one", "OK: two"])).await.unwrap();
    let bytes = server.await.unwrap();
    assert_eq!(bytes.len(), 2 * 4304);
    let mut packet = bytes[4304..].to_vec();
    for (byte, key) in packet.iter_mut().zip(b"pw".iter().cycle()) {
        *byte ^= key ^ 7;
    }
    assert_eq!(packet[..2], [0, 3]);
    assert_eq!(packet[8..14], [0, 0, 0, 99, 0, 0]);
    assert!(packet[14..].starts_with(b"web\0"));
    assert!(packet[78..].starts_with(b"cpu\0"));
    assert!(packet[206..].starts_with(b"two\0"));
    let sum = u32::from_be_bytes(packet[4..8].try_into().unwrap());
    packet[4..8].fill(0);
    assert_eq!(crc32fast::hash(&packet), sum);
}

#[tokio::test]
async fn a_command_file_that_nobody_reads_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nagios.cmd");
    let mut output = output(&format!("command_file = '{}'", path.display()));
    let failure = |failure: Failure| match failure {
        Failure::Retry(error) => format!("{error:#}"),
        other => panic!("{other:?}"),
    };
    let text = failure(output.send(&mut load(&["OK: x"])).await.unwrap_err());
    assert!(text.contains("look at its command_file"), "{text}");
    std::fs::write(&path, "").unwrap();
    let text = failure(output.send(&mut load(&["OK: x"])).await.unwrap_err());
    assert!(text.contains("is no pipe"), "{text}");
    std::fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let text = failure(output.send(&mut load(&["OK: x"])).await.unwrap_err());
    assert!(text.contains("check_external_commands=1"), "{text}");
    let reader = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    output.send(&mut load(&["OK: x"])).await.unwrap();
    let mut line = [0; 200];
    let count = std::io::Read::read(&mut &reader, &mut line).unwrap();
    let line = String::from_utf8_lossy(&line[..count]).into_owned();
    assert!(line.ends_with("] PROCESS_SERVICE_CHECK_RESULT;web;cpu;0;x\n"), "{line}");
}

#[tokio::test]
async fn nrdp_gets_many_at_once_and_says_what_is_wrong() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let own = heard.clone();
    let hear = move |request: Request| {
        let own = own.clone();
        async move {
            let bytes = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let form = String::from_utf8(bytes.to_vec()).unwrap();
            let url = reqwest::Url::parse(&format!("http://a/?{form}")).unwrap();
            let fields: Vec<_> = url.query_pairs().into_owned().collect();
            let is_known = fields[0].1 == "right";
            own.lock().unwrap().push(fields);
            if is_known {
                "<result>\n <status>0</status>\n <message>OK</message></result>"
            } else {
                "<result><status>-1</status><message>BAD TOKEN</message></result>"
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        axum::serve(listener, Router::new().fallback(hear)).await.unwrap();
    });
    let settings = |token| format!("nrdp_url = 'http://{address}/nrdp/'\nnrdp_token = '{token}'");
    let mut nrdp = output(&settings("right"));
    nrdp.open(&testing::context("nagios")).await.unwrap();
    nrdp.send(&mut load(&["OK: a<b", "WARNING: c"])).await.unwrap();
    let xml = heard.lock().unwrap()[0][2].1.clone();
    assert!(xml.contains("<hostname>web</hostname><servicename>cpu</servicename>"), "{xml}");
    assert!(xml.contains("<state>0</state><output>a&lt;b</output>"), "{xml}");
    assert!(xml.contains("<state>1</state><output>c</output>"), "{xml}");
    let mut nrdp = output(&settings("wrong"));
    nrdp.open(&testing::context("nagios")).await.unwrap();
    let Err(Failure::Retry(error)) = nrdp.send(&mut load(&["OK: a"])).await else { panic!() };
    assert!(error.to_string().contains("look at `nrdp_token`"), "{error}");
}

#[tokio::test]
async fn a_program_gets_lines_and_may_fail() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    let script = format!("cat > {}", file.display());
    let settings =
        |script: &str| format!("send_nsca_bin = '/bin/sh'\nsend_nsca_args = ['-c', '{script}']");
    let mut program = output(&settings(&script));
    program.send(&mut load(&["OK: a\tb", "CRITICAL: c"])).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "web\tcpu\t0\ta b\nweb\tcpu\t2\tc\n");
    let mut program = output(&settings("echo no >&2; exit 3"));
    let Err(Failure::Retry(error)) = program.send(&mut load(&["OK: a"])).await else { panic!() };
    assert_eq!(error.to_string(), "/bin/sh ended with exit status: 3: no");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (settings, expected) in [
        ("url = 'http://a'\ncommand_file = 'b'", "only one of"),
        ("url = 'a'", "`a` is no url"),
        ("nrdp_url = 'http://a'", "`nrdp_token` is missing"),
        ("nsca_encryption = 'blowfish'", "unknown variant `blowfish`"),
        ("nsca_address = 'x'", "`x` is no address for tcp"),
    ] {
        let error = toml::from_str::<NagiosOutput>(settings).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
