//! The clients that were written for Heka and Metlog in their time, on today's Node and on Jython.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use libtest_mimic::Trial;

use super::daemons::expect;
use super::daemons::shipped;
use crate::harness::Place;
use crate::suite::interpreter;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    // The package lies in the folder of clients, with what it needs.
    let clients = std::env::var_os("HEKA_CLIENTS").map(PathBuf::from).unwrap_or_default();
    let package = clients.join("heka-py/heka/client.py").display().to_string();
    let metlog_package = clients.join("heka-py/metlog/client.py").display().to_string();
    vec![
        test_with(&["jython", &package], "sources::the_client_for_python_is_heard", python),
        test_with(&["node:heka"], "sources::the_client_for_node_is_heard", node),
        test_with(&["jython", &metlog_package], "sources::metlog_of_python_is_heard", metlog),
        test_with(&["node:mozlog"], "sources::mozlog_is_read", mozlog),
    ]
}

fn run(script: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command: Command = interpreter("node");
    let output = command.args(["-e", script]).args(arguments).output();
    let output = output.context("cannot start node")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "node: {stderr}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Ports for frames that are plain and for such as are signed.
const BOTH: &str = "[plain]\ntype = 'UdpInput'\naddress = '127.0.0.1:0'\nsplitter = 'HekaFramingSplitter'\n\
    decoder = 'ProtobufDecoder'\n\
    [signed]\ntype = 'UdpInput'\naddress = '127.0.0.1:0'\nsplitter = 'keyed'\n\
    decoder = 'ProtobufDecoder'\n\
    [keyed]\ntype = 'HekaFramingSplitter'\n[keyed.signer.node_1]\nhmac_key = 'secret'\n\
    [ProtobufDecoder]\n[HekaFramingSplitter]\n\
    [told]\ntype = 'LogOutput'\nmessage_matcher = \"Logger == 'shop'\"\nencoder = 'RstEncoder'\n";

const PYTHON: &str = "
import sys
sys.path.insert(0, sys.argv[1])
from heka.config import client_from_dict_config
def client(port, **more):
    stream = {'class': 'heka.streams.UdpStream', 'host': '127.0.0.1', 'port': int(port)}
    return client_from_dict_config(dict(logger='shop', stream=stream, **more))
def tell(client, name):
    fields = {'text': 'x', 'whole': 7, 'part': 1.25, 'nest': {'k': 'v'}}
    client.heka(name, severity=4, payload='hello', fields=fields)
def key(text):
    return {'signer': 'node', 'key_version': 1, 'hash_function': 'SHA1', 'key': text}
plain = client(sys.argv[2])
tell(plain, 'in.plain')
plain.incr('hits', 3)
tell(client(sys.argv[3], hmac=key('wrong')), 'in.wrong')
tell(client(sys.argv[3], hmac=key('secret')), 'in.signed')
";

/// Runs a script on Jython, with the folder of the clients and these ports.
fn run_on_jython(place: &Place, script: &str, ports: &[u16]) -> anyhow::Result<()> {
    place.write("client.py", script)?;
    let clients = std::env::var("HEKA_CLIENTS").context("HEKA_CLIENTS is not set")?;
    let output = Command::new("jython")
        .arg(place.path("client.py"))
        .arg(format!("{clients}/heka-py"))
        .args(ports.iter().map(ToString::to_string))
        .output()
        .context("cannot start jython")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "jython: {stderr}");
    Ok(())
}

/// The client for Python, unmodified: messages, a counter, and one that is signed.
fn python() -> anyhow::Result<()> {
    let place = Place::new(BOTH)?;
    let mut engine = place.run(&[])?;
    let ports = [engine.address("plain")?.port(), engine.address("signed")?.port()];
    run_on_jython(&place, PYTHON, &ports)?;
    for kind in ["in.plain", "in.signed"] {
        let fields =
            [("text", "", "x"), ("whole", "", "7"), ("part", "", "1.25"), ("nest.k", "", "v")];
        expect(&mut engine, kind, &fields)?;
    }
    expect(&mut engine, "counter", &[("name", "", "hits"), ("rate", "", "1")])?;
    let finished = engine.stop()?.expect_code(0)?;
    anyhow::ensure!(!finished.stdout.contains("in.wrong"), "{}", finished.stdout);
    Ok(())
}

const METLOG: &str = "
import sys
sys.path.insert(0, sys.argv[1])
from metlog.config import client_from_dict_config
sender = {'class': 'metlog.senders.UdpSender', 'host': '127.0.0.1', 'port': int(sys.argv[2])}
client = client_from_dict_config({'logger': 'shop', 'severity': 6, 'sender': sender})
fields = {'text': 'x', 'whole': 7, 'part': 1.25, 'nest': {'k': 'v'}}
client.metlog('in.metlog', severity=4, payload='hello', fields=fields)
client.incr('hits', 3)
";

/// What came before: its datagrams are JSON, into the configuration that is shipped.
fn metlog() -> anyhow::Result<()> {
    let changes = [
        ("127.0.0.1:5565", "127.0.0.1:0"),
        ("127.0.0.1:5566", "127.0.0.1:0"),
        ("/var/log/mozlog", "DIR/logs"),
    ];
    let place = Place::new(&shipped("heka-clients.toml", &changes)?)?;
    std::fs::create_dir_all(place.path("logs"))?;
    let mut engine = place.run(&[])?;
    let port = engine.address("metlog")?.port();
    run_on_jython(&place, METLOG, &[port])?;
    let fields = [("text", "", "x"), ("whole", "", "7"), ("part", "", "1.25"), ("nest.k", "", "v")];
    expect(&mut engine, "in.metlog", &fields)?;
    expect(&mut engine, "counter", &[("name", "", "hits"), ("rate", "", "1")])?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

const NODE: &str = "
const heka = require('heka');
const [plain, signed] = process.argv.slice(1).map(Number);
function client(port, encoder, hmc) {
  const sender = { factory: 'heka/senders/udp:udpSenderFactory', hosts: ['127.0.0.1'], ports: [port],
    encoder: 'heka/senders/encoders:' + encoder };
  if (hmc) sender.hmc = hmc;
  return heka.clientFromJsonConfig(JSON.stringify({ sender, logger: 'shop', severity: 6 }));
}
function tell(client, type) {
  client.heka(type, { payload: 'hello', fields: { text: 'x', whole: 7, part: 1.25, truth: true } });
}
tell(client(plain, 'protobufEncoder'), 'in.protobuf');
tell(client(plain, 'jsonEncoder'), 'in.json');
client(plain, 'protobufEncoder').incr('hits', { count: 3 });
const key = hex => ({ signer: 'node', key_version: 1, key: hex, hash_function: 'sha1' });
tell(client(signed, 'protobufEncoder', key('wrong')), 'in.wrong');
tell(client(signed, 'protobufEncoder', key('secret')), 'in.signed');
";

/// Messages as protobuf and as JSON, a counter, and one that is signed; a wrong signature lets none in.
fn node() -> anyhow::Result<()> {
    let place = Place::new(BOTH)?;
    let mut engine = place.run(&[])?;
    let (plain, signed) = (engine.address("plain")?.port(), engine.address("signed")?.port());
    run(NODE, &[&plain.to_string(), &signed.to_string()])?;
    let fields =
        [("text", "", "x"), ("whole", "", "7"), ("part", "", "1.25"), ("truth", "", "true")];
    for kind in ["in.protobuf", "in.json", "in.signed"] {
        expect(&mut engine, kind, &fields)?;
    }
    expect(&mut engine, "counter", &[("name", "", "hits")])?;
    let out = engine.stop()?.expect_code(0)?.stdout;
    anyhow::ensure!(!out.contains("in.wrong"), "a wrong signature was taken:\n{out}");
    Ok(())
}

const MOZLOG: &str = "
const log = require('mozlog')({ app: 'shop', level: 'debug' })('routes.client');
log.info('op', { whole: 7, nested: { k: 'v' } });
log.warn('slow', { part: 1.5, truth: true });
";

/// Each line is JSON with the header of a message.
fn mozlog() -> anyhow::Result<()> {
    let lines = run(MOZLOG, &[])?;
    let place = Place::new(
        "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'app\\.log'\n\
         decoder = 'JsonDecoder'\n\
         [JsonDecoder]\nmap_fields = true\nType = 'Type'\nLogger = 'Logger'\nSeverity = 'Severity'\n\
         Pid = 'Pid'\nEnvVersion = 'EnvVersion'\nTimestamp = 'Timestamp'\n\
         [told]\ntype = 'LogOutput'\nmessage_matcher = \"Logger == 'shop'\"\nencoder = 'RstEncoder'\n",
    )?;
    place.write("logs/app.log", &lines)?;
    let mut engine = place.run(&[])?;
    expect(&mut engine, "routes.client.op", &[("Fields.whole", "", "7")])?;
    let slow = [("Fields.part", "", "1.5"), ("Fields.truth", "", "true")];
    expect(&mut engine, "routes.client.slow", &slow)?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
