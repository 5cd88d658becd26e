//! Syslog from `logger` and from rsyslogd, over everything that they speak.

use std::net::SocketAddr;
use std::process::Command;

use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::suite::test_with;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with(&["logger"], "sources::logger_is_heard_on_every_net", logger_on_every_net),
        test_with(&["rsyslogd", "logger"], "sources::rsyslogd_passes_on_in_every_form", rsyslogd),
    ]
}

/// What an engine with these inputs is, each message a block of text in `out`.
fn place(inputs: &str) -> anyhow::Result<Place> {
    Place::new(&format!(
        "{inputs}\n[RstEncoder]\n[copy]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'syslog'\"\n\
         path = 'DIR/out'\nencoder = 'RstEncoder'\n"
    ))
}

/// Waits for a message with this payload and checks that it has these lines.
fn expect(
    engine: &mut Engine,
    place: &Place,
    payload: &str,
    expected: &[&str],
) -> anyhow::Result<()> {
    let wanted = format!(":Payload: {payload}\n");
    let message = engine.wait_for(&wanted, |_| {
        let out = place.read("out");
        let mut messages = out.split(":Timestamp:").filter(|message| message.contains(":Fields:"));
        messages.find(|message| message.contains(&wanted)).map(str::to_owned)
    })?;
    for line in expected {
        anyhow::ensure!(message.contains(line), "no {line:?} in\n{message}");
    }
    Ok(())
}

fn logger(arguments: &[&str], text: &str) -> anyhow::Result<()> {
    let arguments =
        [arguments, &["--tag", "app", "--id=77", "-p", "local0.warning", text]].concat();
    let status = Command::new("logger").args(&arguments).status()?;
    anyhow::ensure!(status.success(), "logger {arguments:?} ended with {status}");
    Ok(())
}

const FROM_LOGGER: &[&str] =
    &[":Severity: 4\n", ":Pid: 77\n", "name:\"programname\"", "\"app\"", "syslogfacility", "16"];

fn logger_on_every_net() -> anyhow::Result<()> {
    let place = place(
        "[udp]\ntype = 'SyslogInput'\naddress = '127.0.0.1:0'\n\
         [tcp]\ntype = 'SyslogInput'\nnet = 'tcp'\naddress = '127.0.0.1:0'\n\
         [gram]\ntype = 'SyslogInput'\nnet = 'unixgram'\naddress = 'DIR/gram'\n\
         [stream]\ntype = 'SyslogInput'\nnet = 'unix'\naddress = 'DIR/stream'\n",
    )?;
    let mut engine = place.run(&[])?;
    let (udp, tcp) = (engine.address("udp")?, engine.address("tcp")?);
    engine.wait_for("both sockets", |_| {
        (place.path("gram").exists() && place.path("stream").exists()).then_some(())
    })?;
    let port = |address: SocketAddr| address.port().to_string();
    let (udp_port, tcp_port) = (port(udp), port(tcp));
    let over_udp = ["-n", "127.0.0.1", "-P", &udp_port, "-d"];
    let over_tcp = ["-n", "127.0.0.1", "-P", &tcp_port, "-T"];
    let gram = place.path("gram").display().to_string();
    let stream = place.path("stream").display().to_string();
    logger(&[&over_udp[..], &["--rfc3164"]].concat(), "old over udp")?;
    logger(&[&over_udp[..], &["--rfc5424", "--msgid", "ID1"]].concat(), "new over udp")?;
    logger(&[&over_tcp[..], &["--rfc3164"]].concat(), "old over tcp")?;
    let data = ["--octet-count", "--rfc5424", "--sd-id", "a@1", "--sd-param", "b=\"c d\""];
    logger(&[&over_tcp[..], &data].concat(), "counted over tcp")?;
    logger(&["-u", &gram], "from the machine")?;
    logger(&["-u", &stream, "-T"], "in a stream")?;
    for payload in
        ["old over udp", "old over tcp", "from the machine", "in a stream", "counted over tcp"]
    {
        expect(&mut engine, &place, payload, FROM_LOGGER)?;
    }
    expect(&mut engine, &place, "new over udp", &["name:\"msgid\"", "ID1"])?;
    expect(&mut engine, &place, "counted over tcp", &["name:\"a@1.b\"", "c d"])?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// What rsyslogd hears on its socket it passes on in every form that it has a name for.
fn rsyslogd() -> anyhow::Result<()> {
    let place = place(
        "[udp]\ntype = 'SyslogInput'\naddress = '127.0.0.1:0'\n\
         [tcp]\ntype = 'SyslogInput'\nnet = 'tcp'\naddress = '127.0.0.1:0'\n",
    )?;
    let mut engine = place.run(&[])?;
    let (udp, tcp) = (engine.address("udp")?.port(), engine.address("tcp")?.port());
    let folder = place.path("").display().to_string();
    let mut config = format!(
        "global(workDirectory=\"{folder}\")\nmodule(load=\"imuxsock\" SysSock.Use=\"off\")\n\
         input(type=\"imuxsock\" Socket=\"{folder}/in\")\n"
    );
    let forms = [
        ("udp", udp, "RSYSLOG_TraditionalForwardFormat", ""),
        ("udp", udp, "RSYSLOG_ForwardFormat", ""),
        ("udp", udp, "RSYSLOG_SyslogProtocol23Format", ""),
        ("tcp", tcp, "RSYSLOG_ForwardFormat", "octet-counted"),
        ("tcp", tcp, "RSYSLOG_SyslogProtocol23Format", "traditional"),
    ];
    for (net, port, template, framing) in forms {
        let framing =
            if framing.is_empty() { String::new() } else { format!(" TCP_Framing=\"{framing}\"") };
        config += &format!(
            "action(type=\"omfwd\" target=\"127.0.0.1\" protocol=\"{net}\" port=\"{port}\" \
             template=\"{template}\"{framing})\n"
        );
    }
    place.write("rsyslog.conf", &config)?;
    let mut command = Command::new("rsyslogd");
    command.args(["-n", "-f", &format!("{folder}/rsyslog.conf"), "-i", &format!("{folder}/pid")]);
    let _rsyslogd = Server::spawn(command)?;
    let socket = place.path("in");
    engine.wait_for("rsyslogd to listen", |_| socket.exists().then_some(()))?;
    let socket = socket.display().to_string();
    logger(&["-u", &socket], "passed on")?;
    engine.wait_for("the message in all forms", |_| {
        (place.read("out").matches(":Payload: passed on\n").count() == forms.len()).then_some(())
    })?;
    logger(&["-u", &socket, "--rfc5424"], "nested")?;
    engine.wait_for("the nested message in all forms", |_| {
        (place.read("out").matches(":Payload: nested\n").count() == forms.len()).then_some(())
    })?;
    for message in place.read("out").split(":Timestamp:").skip(1) {
        for part in [":Severity: 4\n", ":Pid: 77\n", "\"app\""] {
            anyhow::ensure!(message.contains(part), "no {part:?} in\n{message}");
        }
    }
    engine.stop()?.expect_code(0)?;
    Ok(())
}
