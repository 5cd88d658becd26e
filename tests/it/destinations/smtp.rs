//! Mail to a real server: aiosmtpd, which writes down what it gets.

use std::io::Write;
use std::net::TcpStream;

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::harness::server::Server;
use crate::harness::server::free_port;
use crate::suite::interpreter;
use crate::suite::test_with;

const MAILS: usize = 200;

pub(super) fn trials() -> Vec<Trial> {
    vec![test_with(
        &["python3:aiosmtpd"],
        "destinations::smtp_delivers_every_mail_over_a_kill",
        every_mail_over_a_kill,
    )]
}

/// Writes a line for each mail: sender, recipients, subject, text. Wants a user, and knows one.
const SERVER: &str = r"
import asyncio, email, email.policy, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult
port, out = int(sys.argv[1]), sys.argv[2]
class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith('nobody'):
            return '550 no such user'
        envelope.rcpt_tos.append(address)
        return '250 OK'
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        with open(out, 'a') as file:
            print(envelope.mail_from, ','.join(envelope.rcpt_tos), mail['Subject'],
                  mail.get_content().strip().replace('\n', '|'), sep=';', file=file, flush=True)
        return '250 OK'
def known(server, session, envelope, mechanism, data):
    return AuthResult(success=data.login == b'me' and data.password == b'secret', handled=False)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(sys.argv[3], sys.argv[4])
def make():
    return SMTP(Handler(), authenticator=known, auth_required=True, tls_context=tls,
                require_starttls=True, hostname='mail')
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(loop.create_server(make, '127.0.0.1', port))
loop.run_forever()
";

fn start(place: &Place, port: u16) -> anyhow::Result<Server> {
    let mut command = interpreter("python3");
    command.arg(place.path("server.py")).arg(port.to_string()).arg(place.path("mails"));
    command.arg(place.path("cert.pem")).arg(place.path("key.pem"));
    Server::start(command, port)
}

fn every_mail_over_a_kill() -> anyhow::Result<()> {
    let port = free_port()?;
    let config = |password: &str, more: &str| {
        format!(
            "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
             decoder = ''\n\
             [out]\ntype = 'SmtpOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
             host = '127.0.0.1:{port}'\nsend_to = ['Ops <ops@example.com>', 'nobody@example.com']\n\
             send_from = 'heka@example.com'\nsubject = '%{{Type}}: %{{Payload}}'\n\
             security = 'starttls'\nauth = 'Plain'\nuser = 'me'\npassword = '{password}'\n{more}\n\
             retries = {{ delay = '50ms', max_delay = '200ms' }}\n\
             [seen]\ntype = 'LogOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
             encoder = 'PayloadEncoder'\n\
             [out.tls]\nroot_cafile = 'DIR/cert.pem'\nserver_name = 'localhost'\n"
        )
    };
    let place = Place::new(&config("wrong", ""))?;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    place.write("cert.pem", &made.cert.pem())?;
    place.write("key.pem", &made.signing_key.serialize_pem())?;
    place.write("server.py", SERVER)?;
    let server = start(&place, port)?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    writeln!(stream, "größer")?;
    engine.wait_for("it to be told of the password", |engine| {
        engine.stderr().contains("look at `user` and `password`").then_some(())
    })?;
    engine.stop()?;
    place.configure(&config("secret", ""))?;
    let mut engine = place.run(&[])?;
    let written = |lines: &str| (place.read("mails") == lines).then_some(());
    let first = "heka@example.com;ops@example.com;lines: größer;größer\n";
    engine.wait_for("the first mail", |_| written(first))?;
    // Killed under load: mails have no key, one may come twice.
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    let mail = |number| format!("heka@example.com;ops@example.com;lines: m{number};m{number}");
    let has = |number| place.read("mails").lines().any(|line| line == mail(number));
    for number in 0..MAILS / 2 {
        writeln!(stream, "m{number}")?;
    }
    engine.wait_for("one of many", |_| has(0).then_some(()))?;
    drop(server);
    for number in MAILS / 2..MAILS {
        writeln!(stream, "m{number}")?;
    }
    engine.wait_for("it to be missed", |engine| {
        engine.stderr().contains("cannot connect to").then_some(())
    })?;
    let _server = start(&place, port)?;
    engine.wait_for("all mails", |_| (0..MAILS).all(has).then_some(()))?;
    engine.stop()?.expect_code(0)?;
    // All of an interval in one mail; a stop does not wait for its end.
    let before = place.read("mails");
    place.configure(&config("secret", "send_interval = '1h'"))?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    stream.write_all(b"three\nfour\n")?;
    engine.wait_for("both to be read", |engine| engine.stdout().contains("four").then_some(()))?;
    engine.stop()?.expect_code(0)?;
    let third = "heka@example.com;ops@example.com;lines: three (and 1 more);three|four\n";
    anyhow::ensure!(place.read("mails") == before + third, "{}", place.read("mails"));
    Ok(())
}
