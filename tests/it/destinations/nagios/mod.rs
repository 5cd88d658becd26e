//! Checks in a real Nagios 4, by its command file, through a real NSCA and over HTTP.

mod web;

use std::collections::HashSet;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use anyhow::Context;
use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::test_with;

/// How many checks are sent while NSCA is killed.
const CHECKS: usize = 200;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        test_with(
            &["nagios4", "nsca"],
            "destinations::nagios_sees_states_by_command_file_and_nsca",
            by_command_file_and_nsca,
        ),
        test_with(
            &["nagios4", "nsca"],
            "destinations::nagios_is_told_through_nsca_with_every_cipher",
            through_nsca_with_every_cipher,
        ),
        test_with(
            &["nagios4"],
            "destinations::nagios_alerts_when_nothing_is_heard_any_more",
            when_nothing_is_heard,
        ),
    ]
    .into_iter()
    .chain(web::trials())
    .collect()
}

/// Whom the programs become where root starts them; they refuse to be root.
fn user() -> anyhow::Result<String> {
    if nix::unistd::geteuid().is_root() {
        return Ok("nagios".to_owned());
    }
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())?;
    Ok(user.context("the user has no name")?.name)
}

const OBJECTS: &str = "\
define command {\n command_name none\n command_line /bin/true\n}\n\
define timeperiod {\n timeperiod_name always\n alias always\n monday 00:00-24:00\n\
 tuesday 00:00-24:00\n wednesday 00:00-24:00\n thursday 00:00-24:00\n friday 00:00-24:00\n\
 saturday 00:00-24:00\n sunday 00:00-24:00\n}\n\
define contact {\n contact_name admin\n host_notification_commands none\n\
 service_notification_commands none\n host_notification_period always\n\
 service_notification_period always\n}\n\
define host {\n host_name web01\n address 127.0.0.1\n check_command none\n max_check_attempts 1\n\
 check_period always\n notification_period always\n contacts admin\n active_checks_enabled 0\n\
 passive_checks_enabled 1\n}\n";

/// Writes what Nagios reads, with these services of `web01`.
fn configure(place: &Place, services: &[&str]) -> anyhow::Result<()> {
    let folder = place.path("").display().to_string();
    let user = user()?;
    let group = nix::unistd::Group::from_gid(
        nix::unistd::User::from_name(&user)?.context("there is no such user")?.gid,
    )?;
    let group = group.context("the group has no name")?.name;
    for name in ["archives", "checkresults"] {
        std::fs::create_dir_all(place.path(name))?;
    }
    let mut objects = OBJECTS.to_owned();
    for service in services {
        objects.push_str(&format!(
            "define service {{\n host_name web01\n service_description {service}\n\
             check_command none\n max_check_attempts 1\n check_interval 1\n retry_interval 1\n\
             check_period always\n notification_period always\n contacts admin\n\
             active_checks_enabled 0\n passive_checks_enabled 1\n}}\n"
        ));
    }
    place.write("objects.cfg", &objects)?;
    place.write("resource.cfg", "")?;
    place.write(
        "nagios.cfg",
        &format!(
            "log_file={folder}/nagios.log\ncfg_file={folder}/objects.cfg\n\
             resource_file={folder}/resource.cfg\nobject_cache_file={folder}/objects.cache\n\
             precached_object_file={folder}/objects.precache\nstatus_file={folder}/status.dat\n\
             status_update_interval=1\nnagios_user={user}\nnagios_group={group}\n\
             check_external_commands=1\ncommand_file={folder}/nagios.cmd\n\
             lock_file={folder}/nagios.lock\ntemp_file={folder}/nagios.tmp\ntemp_path={folder}\n\
             log_archive_path={folder}/archives\ncheck_result_path={folder}/checkresults\n\
             state_retention_file={folder}/retention.dat\nquery_socket={folder}/nagios.qh\n\
             use_syslog=0\nlog_passive_checks=1\nlog_external_commands=1\n\
             execute_service_checks=0\nexecute_host_checks=0\naccept_passive_service_checks=1\n\
             accept_passive_host_checks=1\nenable_notifications=0\n"
        ),
    )?;
    place.write(
        "nsca.cfg",
        &format!(
            "pid_file={folder}/nsca.pid\nserver_address=127.0.0.1\nserver_port=PORT\n\
             nsca_user={user}\nnsca_group={group}\ndebug=0\ncommand_file={folder}/nagios.cmd\n\
             alternate_dump_file={folder}/nsca.dump\naggregate_writes=0\nappend_to_file=0\n\
             max_packet_age=30\npassword=s3cret\ndecryption_method=1\n"
        ),
    )?;
    place.write(
        "cgi.cfg",
        &format!(
            "main_config_file={folder}/nagios.cfg\nphysical_html_path=/usr/share/nagios4/htdocs\n\
             url_html_path=/nagios4\nuse_authentication=1\nuse_ssl_authentication=0\n\
             authorized_for_all_services=admin\nauthorized_for_all_hosts=admin\n\
             authorized_for_all_service_commands=admin\nauthorized_for_all_host_commands=admin\n"
        ),
    )
}

/// Starts Nagios and waits for its command file.
fn start(place: &Place) -> anyhow::Result<Server> {
    if nix::unistd::geteuid().is_root() {
        // The engine's own state stays with who runs it.
        let owner = format!("{}:", user()?);
        Command::new("chown").arg("-R").arg(&owner).arg(place.path("")).status()?;
    }
    let mut command = Command::new("nagios4");
    command.arg(place.path("nagios.cfg"));
    let mut server = Server::spawn(command)?;
    let pipe = place.path("nagios.cmd");
    server.wait_for("its command file", |_| pipe.exists().then_some(()))?;
    Ok(server)
}

/// Waits until the log of Nagios says this of a service.
fn expect(engine: &mut Engine, place: &Place, alert: &str) -> anyhow::Result<()> {
    let waited = engine.wait_for(alert, |_| {
        place.read("nagios.log").lines().any(|line| line.contains(alert)).then_some(())
    });
    waited.map_err(|error| error.context(place.read("nagios.log")))
}

fn by_command_file_and_nsca() -> anyhow::Result<()> {
    let port = free_port()?;
    let output = |name: &str, settings: &str| {
        format!(
            "[{name}]\ntype = 'NagiosOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
             nagios_host = 'web01'\nnagios_service_description = '{name}'\n\
             retries = {{ delay = '50ms', max_delay = '200ms' }}\n{settings}\n"
        )
    };
    let place = Place::new(&format!(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n{}{}{}",
        output("pipe", "command_file = 'DIR/nagios.cmd'"),
        output("nsca", &format!("nsca_address = '127.0.0.1:{port}'\nnsca_password = 's3cret'")),
        output("host", "host_check = true\ncommand_file = 'DIR/nagios.cmd'"),
    ))?;
    configure(&place, &["pipe", "nsca"])?;
    let nsca_config = place.read("nsca.cfg").replace("PORT", &port.to_string());
    place.write("nsca.cfg", &nsca_config)?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    // Nobody is there yet: all of it waits, and each says what to do.
    writeln!(stream, "CRITICAL: too hot | temperature=99")?;
    for part in ["look at its command_file", "cannot connect to"] {
        engine.wait_for(part, |engine| engine.stderr().contains(part).then_some(()))?;
    }
    let nagios = start(&place)?;
    let receiver = start_nsca(&place.path("nsca.cfg"), port)?;
    expect(&mut engine, &place, "SERVICE ALERT: web01;pipe;CRITICAL;HARD;1;too hot")?;
    expect(&mut engine, &place, "SERVICE ALERT: web01;nsca;CRITICAL;HARD;1;too hot")?;
    // Killed under load. A check has no key: one may be told twice.
    for number in 0..CHECKS / 2 {
        writeln!(stream, "WARNING: n{number}")?;
    }
    let told =
        |number| format!("EXTERNAL COMMAND: PROCESS_SERVICE_CHECK_RESULT;web01;nsca;1;n{number}");
    expect(&mut engine, &place, &told(0))?;
    drop(receiver);
    for number in CHECKS / 2..CHECKS {
        writeln!(stream, "WARNING: n{number}")?;
    }
    let receiver = start_nsca(&place.path("nsca.cfg"), port)?;
    let all = engine.wait_for("every check", |_| {
        let log = place.read("nagios.log");
        let has: HashSet<&str> = log.lines().filter_map(|line| line.split("] ").nth(1)).collect();
        (0..CHECKS).all(|number| has.contains(&*told(number))).then_some(())
    });
    all.map_err(|error| error.context(place.read("nagios.log")))?;
    drop(receiver);
    writeln!(stream, "OK: cool again")?;
    let _receiver = start_nsca(&place.path("nsca.cfg"), port)?;
    expect(&mut engine, &place, "SERVICE ALERT: web01;pipe;OK;HARD;1;cool again")?;
    expect(&mut engine, &place, "SERVICE ALERT: web01;nsca;OK;HARD;1;cool again")?;
    writeln!(stream, "DOWN: gone")?;
    expect(&mut engine, &place, "HOST ALERT: web01;DOWN;HARD;1;gone")?;
    drop(nagios);
    engine.stop()?;
    Ok(())
}

/// Starts the daemon of NSCA with this file of settings.
fn start_nsca(config: &std::path::Path, port: u16) -> anyhow::Result<Server> {
    let mut command = Command::new("nsca");
    command.args(["-f", "-c"]).arg(config);
    Server::start(command, port)
}

fn through_nsca_with_every_cipher() -> anyhow::Result<()> {
    let ways = [("none", 0), ("des", 2), ("3des", 3), ("aes", 14)];
    let mut config = "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n\
         splitter = 'TokenSplitter'\ndecoder = ''\n"
        .to_owned();
    let mut ports = Vec::new();
    for (name, _) in ways {
        let port = free_port()?;
        config.push_str(&format!(
            "[{name}]\ntype = 'NagiosOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
             nagios_host = 'web01'\nnagios_service_description = '{name}'\n\
             nsca_address = '127.0.0.1:{port}'\nnsca_encryption = '{name}'\n\
             nsca_password = 'a password of more than 32 letters, which is cut'\n\
             retries = {{ delay = '50ms', max_delay = '200ms' }}\n"
        ));
        ports.push(port);
    }
    let place = Place::new(&config)?;
    configure(&place, &ways.map(|(name, _)| name))?;
    let _nagios = start(&place)?;
    let mut receivers = Vec::new();
    for ((name, method), port) in ways.into_iter().zip(ports) {
        let file = format!("{name}.cfg");
        let settings = place.read("nsca.cfg").replace("PORT", &port.to_string());
        let settings = settings.replace("nsca.pid", &format!("{name}.pid"));
        let settings = settings.replace("method=1", &format!("method={method}"));
        let password = "password=a password of more than 32 letters, which is cut";
        place.write(&file, &settings.replace("password=s3cret", password))?;
        receivers.push(start_nsca(&place.path(&file), port)?);
    }
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    // The second of two goes on where the cipher stands after the first.
    stream.write_all(b"WARNING: warm\nCRITICAL: hot\n")?;
    for (name, _) in ways {
        let alert = format!("SERVICE ALERT: web01;{name};CRITICAL;HARD;1;hot");
        expect(&mut engine, &place, &alert)?;
    }
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// A service that nothing is heard of for four seconds is looked at by Nagios itself.
fn when_nothing_is_heard() -> anyhow::Result<()> {
    let place = Place::new(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n\
         [pipe]\ntype = 'NagiosOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         command_file = 'DIR/nagios.cmd'\nnagios_host = 'web01'\n\
         nagios_service_description = 'heard'\n",
    )?;
    configure(&place, &["heard"])?;
    let objects = place.read("objects.cfg").replace(
        "service_description heard\ncheck_command none\n",
        "service_description heard\ncheck_command silent\n check_freshness 1\n freshness_threshold 4\n",
    );
    anyhow::ensure!(objects.contains("freshness_threshold"), "{objects}");
    let silent = "define command {\n command_name silent\n\
                  command_line /bin/sh -c 'echo nothing was heard && exit 2'\n}\n";
    place.write("objects.cfg", &(objects + silent))?;
    let settings = place.read("nagios.cfg")
        + "check_service_freshness=1\nservice_freshness_check_interval=1\n\
           additional_freshness_latency=0\ninterval_length=60\n";
    place.write("nagios.cfg", &settings)?;
    let _nagios = start(&place)?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    writeln!(stream, "WARNING: here")?;
    expect(&mut engine, &place, "SERVICE ALERT: web01;heard;WARNING;HARD;1;here")?;
    expect(&mut engine, &place, "SERVICE ALERT: web01;heard;CRITICAL;HARD;1;nothing was heard")?;
    writeln!(stream, "OK: back")?;
    expect(&mut engine, &place, "SERVICE ALERT: web01;heard;OK;HARD;1;back")?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
