//! Numbers from the clients of statsd and DogStatsD that people use.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context;
use libtest_mimic::Trial;

use crate::harness::Engine;
use crate::harness::Place;
use crate::suite::interpreter;
use crate::suite::test_with;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with(&["python3:statsd"], "sources::statsd_of_python_is_heard", statsd_of_python),
        test_with(&["python3:datadog"], "sources::datadog_of_python_is_heard", datadog_of_python),
        test_with(&["node:hot-shots"], "sources::hot_shots_of_node_is_heard", hot_shots_of_node),
    ]
}

/// An engine that listens for statsd and writes what it has summed up.
fn start(place: &Place) -> anyhow::Result<(Engine, SocketAddr, SocketAddr)> {
    let mut engine = place.run(&[])?;
    let (udp, tcp) = (engine.address("over_udp")?, engine.address("over_tcp")?);
    Ok((engine, udp, tcp))
}

fn place(settings: &str) -> anyhow::Result<Place> {
    Place::new(&format!(
        "[over_udp]\ntype = 'StatsdInput'\naddress = '127.0.0.1:0'\n{settings}\n\
         [over_tcp]\ntype = 'StatsdInput'\nnet = 'tcp'\naddress = '127.0.0.1:0'\n\
         [StatAccumInput]\nticker_interval = 1\npercent_threshold = [50, 90, 99.9]\n\
         [PayloadEncoder]\nappend_newlines = false\n[RstEncoder]\n\
         [numbers]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.statmetric'\"\n\
         path = 'DIR/numbers'\nencoder = 'PayloadEncoder'\n\
         [others]\ntype = 'FileOutput'\nmessage_matcher = \"Type =~ /^statsd/\"\n\
         path = 'DIR/others'\nencoder = 'RstEncoder'\n"
    ))
}

fn run(interpreter_name: &str, flag: &str, script: &str, ports: [u16; 2]) -> anyhow::Result<()> {
    let output = interpreter(interpreter_name)
        .args([flag, script])
        .args(ports.map(|port| port.to_string()))
        .output()
        .with_context(|| format!("cannot start {interpreter_name}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{interpreter_name}: {stderr}");
    Ok(())
}

/// What was told of each name: the sum of counts over all rounds, of others the largest number.
fn told(place: &Place) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for line in place.read("numbers").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, value, _] = words[..] else { continue };
        let value: f64 = value.parse().unwrap_or_default();
        let sum = all.entry(name.to_owned()).or_insert(0.0);
        if name.contains(".count") { *sum += value } else { *sum = value.max(*sum) }
    }
    all
}

fn expect(engine: &mut Engine, place: &Place, expected: &[(&str, f64)]) -> anyhow::Result<()> {
    for (name, value) in expected {
        engine.wait_for(&format!("{name} to be {value}"), |_| {
            (told(place).get(*name) == Some(value)).then_some(())
        })?;
    }
    Ok(())
}

const STATSD: &str = "
import sys, statsd
client = statsd.StatsClient('127.0.0.1', int(sys.argv[1]), prefix='py')
for _ in range(10):
    client.incr('hits')
client.decr('hits', 3)
client.gauge('load', 5)
client.gauge('load', 2, delta=True)
client.timing('took', 320)
with client.pipeline() as pipe:
    for user in ['a', 'b', 'a']:
        pipe.set('users', user)
stream = statsd.TCPStatsClient('127.0.0.1', int(sys.argv[2]), prefix='tcp')
stream.incr('hits', 4)
stream.close()
";

fn statsd_of_python() -> anyhow::Result<()> {
    let place = place("")?;
    let (mut engine, udp, tcp) = start(&place)?;
    run("python3", "-c", STATSD, [udp.port(), tcp.port()])?;
    expect(
        &mut engine,
        &place,
        &[
            ("stats.counters.py.hits.count", 7.0),
            ("stats.gauges.py.load", 7.0),
            ("stats.timers.py.took.upper_99_9", 320.0),
            ("stats.timers.py.took.mean_50", 320.0),
            ("stats.sets.py.users.count", 2.0),
            ("stats.counters.tcp.hits.count", 4.0),
        ],
    )?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

const DATADOG: &str = "
import sys
from datadog.dogstatsd.base import DogStatsd
client = DogStatsd(host='127.0.0.1', port=int(sys.argv[1]), constant_tags=['env:test'],
                   disable_telemetry=True)
client.increment('dd.hits', 3, tags=['page:home', 'alone'])
client.gauge('dd.depth', -4)
client.histogram('dd.size', 12.5)
client.distribution('dd.spread', 7)
client.set('dd.users', 'x')
client.timing('dd.took', 8)
client.event('It broke', 'first line\\nsecond', alert_type='error', tags=['x:y'])
client.service_check('dd.check', client.WARNING, message='slow')
client.flush()
";

fn datadog_of_python() -> anyhow::Result<()> {
    let place = place("signed_gauges = false")?;
    let (mut engine, udp, tcp) = start(&place)?;
    run("python3", "-c", DATADOG, [udp.port(), tcp.port()])?;
    expect(
        &mut engine,
        &place,
        &[
            ("stats.counters.dd.hits.count;alone=true;env=test;page=home", 3.0),
            ("stats.histograms.dd.size.median;env=test", 12.5),
            ("stats.histograms.dd.spread.upper;env=test", 7.0),
            ("stats.sets.dd.users.count;env=test", 1.0),
            ("stats.timers.dd.took.sum;env=test", 8.0),
        ],
    )?;
    engine.wait_for("the gauge", |_| {
        place.read("numbers").contains("stats.gauges.dd.depth;env=test -4 ").then_some(())
    })?;
    for part in ["title", "It broke", "first line", "second", "dd.check", ":Payload: slow"] {
        engine.wait_for(part, |_| place.read("others").contains(part).then_some(()))?;
    }
    engine.stop()?.expect_code(0)?;
    Ok(())
}

const HOT_SHOTS: &str = "
const StatsD = require('hot-shots');
const port = Number(process.argv[1]);
const client = new StatsD({ host: '127.0.0.1', port, prefix: 'node.', globalTags: { app: 'a' } });
client.increment('hits', 2);
client.timing('took', 42);
client.gauge('depth', 9);
client.set('users', ['u', 'v', 'u']);
client.histogram('size', 3);
client.event('Started', 'all is well');
client.check('db', client.CHECKS.CRITICAL);
client.close();
const stream = new StatsD({ host: '127.0.0.1', port: Number(process.argv[2]), protocol: 'tcp' });
stream.increment('tcp.hits', 5, () => stream.close());
";

fn hot_shots_of_node() -> anyhow::Result<()> {
    let place = place("")?;
    let (mut engine, udp, tcp) = start(&place)?;
    run("node", "-e", HOT_SHOTS, [udp.port(), tcp.port()])?;
    expect(
        &mut engine,
        &place,
        &[
            ("stats.counters.node.hits.count;app=a", 2.0),
            ("stats.timers.node.took.upper;app=a", 42.0),
            ("stats.gauges.node.depth;app=a", 9.0),
            ("stats.histograms.node.size.sum;app=a", 3.0),
            ("stats.counters.tcp.hits.count", 5.0),
        ],
    )?;
    for part in ["Started", ":Payload: all is well", "\"node.db\"", ":Severity: 2"] {
        engine.wait_for(part, |_| place.read("others").contains(part).then_some(()))?;
    }
    engine.stop()?.expect_code(0)?;
    Ok(())
}
