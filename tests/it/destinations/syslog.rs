//! Lines of syslog to a real rsyslogd, in both forms, over UDP and TCP.

use std::collections::HashSet;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::test_with;

const LINES: usize = 5000;

pub(super) fn trials() -> Vec<Trial> {
    vec![test_with(&["rsyslogd"], "destinations::rsyslogd_reads_every_form", every_form)]
}

fn start(place: &Place, port: u16) -> anyhow::Result<Server> {
    let mut command = Command::new("rsyslogd");
    command.args(["-n", "-f"]).arg(place.path("rsyslog.conf")).arg("-i").arg(place.path("pid"));
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    Server::start(command, port)
}

fn every_form() -> anyhow::Result<()> {
    let (tcp, udp) = (free_port()?, free_port()?);
    let output = |name: &str, kind: &str, port: u16, more: &str| {
        format!(
            "[{name}]\ntype = '{kind}'\nmessage_matcher = \"Type == 'lines'\"\n\
             address = '127.0.0.1:{port}'\nencoder = '{name}_lines'\n\
             retries = {{ delay = '50ms', max_delay = '200ms' }}\n\
             [{name}_lines]\ntype = 'SyslogEncoder'\nfacility = 'local3'\napp_name = '{name}'\n{more}\n"
        )
    };
    let place = Place::new(&format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n{}{}{}{}",
        output("counted", "TcpOutput", tcp, "framing = 'octet_counted'\nmessage_id = 'M1'")
            .replace("retries", "resend_window = 10\nretries"),
        output("newline", "TcpOutput", tcp, "framing = 'newline'")
            .replace("retries", "resend_window = 10\nretries"),
        output("old", "TcpOutput", tcp, "framing = 'octet_counted'\nformat = 'rfc3164'"),
        output("datagram", "UdpOutput", udp, "").replace("127.0.0.1", "localhost")
            + &output("local", "UdpOutput", 0, "format = 'local'")
                .replace("'127.0.0.1:0'", "'DIR/log'\nnet = 'unixgram'"),
    ))?;
    let folder = place.path("").display().to_string();
    place.write(
        "rsyslog.conf",
        &format!(
            "global(workDirectory=\"{folder}\")\nmodule(load=\"imtcp\")\nmodule(load=\"imudp\")\n\
             module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
             input(type=\"imuxsock\" Socket=\"{folder}/log\")\n\
             input(type=\"imtcp\" port=\"{tcp}\" address=\"127.0.0.1\")\n\
             input(type=\"imudp\" port=\"{udp}\" address=\"127.0.0.1\")\n\
             template(name=\"all\" type=\"string\" \
             string=\"%app-name% %syslogfacility-text% %syslogseverity% %msgid% [%msg:::drop-last-lf%]\\n\")\n\
             action(type=\"omfile\" file=\"{folder}/out\" template=\"all\")\n"
        ),
    )?;
    let server = start(&place, tcp)?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    writeln!(stream, "first text")?;
    let holds = |line: &str| place.read("out").lines().any(|found| found == line);
    let expect = |engine: &mut crate::harness::Engine, line: &str| {
        let waited = engine.wait_for(line, |_| holds(line).then_some(()));
        waited.map_err(|error| error.context(place.read("out")))
    };
    expect(&mut engine, "counted local3 7 M1 [first text]")?;
    expect(&mut engine, "newline local3 7 - [first text]")?;
    expect(&mut engine, "old local3 7 - [ first text]")?;
    expect(&mut engine, "datagram local3 7 - [first text]")?;
    expect(&mut engine, "local local3 7 - [ first text]")?;
    // Killed under load: what it has not read, or not written, is sent again.
    let lines = |numbers: std::ops::Range<usize>| -> String {
        numbers.map(|number| format!("line {number}\n")).collect()
    };
    stream.write_all(lines(0..LINES / 2).as_bytes())?;
    expect(&mut engine, "counted local3 7 M1 [line 0]")?;
    drop(server);
    stream.write_all(lines(LINES / 2..LINES).as_bytes())?;
    let _server = start(&place, tcp)?;
    for (name, id) in [("counted", "M1"), ("newline", "-")] {
        let waited = engine.wait_for("all lines", |_| {
            let text = place.read("out");
            let found: HashSet<&str> = text.lines().collect();
            let expected = |number| format!("{name} local3 7 {id} [line {number}]");
            (0..LINES).all(|number| found.contains(&*expected(number))).then_some(())
        });
        waited.map_err(|error| error.context(name))?;
    }
    engine.stop()?.expect_code(0)?;
    Ok(())
}
