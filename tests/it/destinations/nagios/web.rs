//! Over HTTP: `cmd.cgi` behind a real Apache, and NRDP as it is documented, each before a real Nagios.

use std::collections::HashSet;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use libtest_mimic::Trial;

use super::configure;
use super::expect;
use super::start;
use super::user;
use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::interpreter;
use crate::suite::test_with;

const CGI: &str = "/usr/lib/cgi-bin/nagios4/cmd.cgi";

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test_with(
            &["nagios4", "apache2", CGI],
            "destinations::nagios_sees_states_by_cmd_cgi_over_a_kill",
            by_cmd_cgi,
        ),
        test_with(
            &["nagios4", "python3"],
            "destinations::nagios_sees_states_by_nrdp_over_a_kill",
            by_nrdp,
        ),
    ]
}

/// Sends the lines to a service of `web01`.
fn config(service: &str, way: &str) -> String {
    format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n\
         [web]\ntype = 'NagiosOutput'\nmessage_matcher = \"Type == 'lines'\"\n{way}\n\
         nagios_host = 'web01'\nnagios_service_description = '{service}'\n\
         response_header_timeout = '20s'\nretries = {{ delay = '50ms', max_delay = '200ms' }}\n"
    )
}

/// An Apache before `cmd.cgi`, where `admin` has the password `right`.
fn start_apache(place: &Place, port: u16) -> anyhow::Result<Server> {
    let folder = place.path("").display().to_string();
    let user = user()?;
    let modules = [
        ("mpm_event", "mpm_event"),
        ("authn_core", "authn_core"),
        ("authn_file", "authn_file"),
        ("auth_basic", "auth_basic"),
        ("authz_core", "authz_core"),
        ("authz_user", "authz_user"),
        ("cgid", "cgid"),
        ("alias", "alias"),
        ("env", "env"),
    ];
    let modules: String = modules
        .map(|(name, file)| {
            format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{file}.so\n")
        })
        .concat();
    place.write("passwords", "admin:{SHA}0nofEXcSAJSXFLGvmfBIpBb11vQ=\n")?;
    place.write(
        "apache.conf",
        &format!(
            "ServerName localhost\nListen 127.0.0.1:{port}\nPidFile {folder}/httpd.pid\n\
             ErrorLog {folder}/error.log\n{modules}ScriptSock {folder}/cgid.sock\n\
             User {user}\nGroup {user}\nDocumentRoot {folder}\n\
             ScriptAlias /nagios4/cgi-bin/cmd.cgi {CGI}\n\
             <Location /nagios4/cgi-bin/>\n SetEnv NAGIOS_CGI_CONFIG {folder}/cgi.cfg\n\
             AuthType Basic\n AuthName nagios\n AuthUserFile {folder}/passwords\n\
             Require valid-user\n</Location>\n"
        ),
    )?;
    let mut command = Command::new("apache2");
    command.args(["-DFOREGROUND", "-d"]).arg(place.path("")).arg("-f");
    command.arg(place.path("apache.conf"));
    Server::start(command, port)
}

/// Sends checks while the web server before Nagios is killed and started again: each is seen.
fn survives_a_kill(
    (engine, place): (&mut Engine, &Place),
    service: &str,
    server: Server,
    start: impl Fn() -> anyhow::Result<Server>,
) -> anyhow::Result<Server> {
    const CHECKS: usize = 60;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    let told = |number| {
        format!("EXTERNAL COMMAND: PROCESS_SERVICE_CHECK_RESULT;web01;{service};1;n{number}")
    };
    for number in 0..CHECKS / 2 {
        writeln!(stream, "WARNING: n{number}")?;
    }
    expect(engine, place, &told(0))?;
    drop(server);
    for number in CHECKS / 2..CHECKS {
        writeln!(stream, "WARNING: n{number}")?;
    }
    engine.wait_for("it to be missed", |engine| {
        engine.stderr().contains("cannot reach").then_some(())
    })?;
    let server = start()?;
    let all = engine.wait_for("every check", |_| {
        let log = place.read("nagios.log");
        let has: HashSet<&str> = log.lines().filter_map(|line| line.split("] ").nth(1)).collect();
        let has = |number| {
            let told = told(number);
            // Behind the text stands what the check measured.
            has.contains(&*told) || has.contains(&*format!("{told}|"))
        };
        (0..CHECKS).all(has).then_some(())
    });
    all.map_err(|error| error.context(place.read("nagios.log")))?;
    Ok(server)
}

/// Waits until the engine that is sent a line says something of it, and stops it.
fn is_told(place: &Place, line: &str, text: &str) -> anyhow::Result<()> {
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    writeln!(stream, "{line}")?;
    engine.wait_for(text, |engine| engine.stderr().contains(text).then_some(()))?;
    engine.stop()?;
    Ok(())
}

fn by_cmd_cgi() -> anyhow::Result<()> {
    let port = free_port()?;
    let config = |password: &str, service: &str| {
        let way = format!(
            "url = 'http://127.0.0.1:{port}/nagios4/cgi-bin/cmd.cgi'\nusername = 'admin'\n\
             password = '{password}'"
        );
        config(service, &way)
    };
    let place = Place::new(&config("wrong", "cgi"))?;
    configure(&place, &["cgi"])?;
    let _nagios = start(&place)?;
    let apache = start_apache(&place, port)?;
    is_told(&place, "WARNING: by web | a=1", "look at `username` and `password`")?;
    place.configure(&config("right", "cgi"))?;
    let mut engine = place.run(&[])?;
    expect(&mut engine, &place, "SERVICE ALERT: web01;cgi;WARNING;HARD;1;by web")?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    writeln!(stream, "OK: again")?;
    expect(&mut engine, &place, "SERVICE ALERT: web01;cgi;OK;HARD;1;again")?;
    let again = || start_apache(&place, port);
    let _apache = survives_a_kill((&mut engine, &place), "cgi", apache, again)?;
    engine.stop()?.expect_code(0)?;
    // A service that Nagios does not know is refused, and says so.
    place.configure(&config("right", "none"))?;
    is_told(&place, "OK: again", "are both known to Nagios")
}

fn by_nrdp() -> anyhow::Result<()> {
    let port = free_port()?;
    let config = |token: &str| {
        let way = format!("nrdp_url = 'http://127.0.0.1:{port}/nrdp/'\nnrdp_token = '{token}'");
        config("nrdp", &way)
    };
    let place = Place::new(&config("wrong"))?;
    configure(&place, &["nrdp"])?;
    place.write("nrdp.py", include_str!("nrdp.py"))?;
    let _nagios = start(&place)?;
    let start = || {
        let mut command = interpreter("python3");
        command.arg(place.path("nrdp.py")).arg(port.to_string()).arg(place.path("nagios.cmd"));
        Server::start(command, port)
    };
    let server = start()?;
    is_told(&place, "WARNING: hot & <bright> | a=1", "look at `nrdp_token`")?;
    place.configure(&config("right"))?;
    let mut engine = place.run(&[])?;
    let alert = "SERVICE ALERT: web01;nrdp;WARNING;HARD;1;hot & <bright>";
    expect(&mut engine, &place, alert)?;
    let _server = survives_a_kill((&mut engine, &place), "nrdp", server, start)?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
