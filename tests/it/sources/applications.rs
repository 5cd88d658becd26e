//! Applications: OpenTelemetry's own SDKs, and the examples of `config/applications.md` as they are
//! printed there.

use std::net::SocketAddr;

use anyhow::Context;
use libtest_mimic::Trial;

use super::daemons::expect;
use super::daemons::expect_payload;
use super::daemons::shipped;
use crate::harness::Engine;
use crate::harness::Place;
use crate::suite::interpreter;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    let python = "python3:opentelemetry.exporter.otlp.proto.http";
    let node = "node:@opentelemetry/exporter-metrics-otlp-http";
    let grpc = "python3:opentelemetry.exporter.otlp.proto.grpc";
    vec![
        test_with(&[python], "sources::opentelemetry_of_python_is_heard", opentelemetry_of_python),
        test_with(&[python], "destinations::otlp_passes_on_what_it_was_told", passed_on),
        test_with(
            &[python, grpc],
            "sources::opentelemetry_of_python_is_heard_over_grpc",
            opentelemetry_of_python_over_grpc,
        ),
        test_with(
            &["node:@opentelemetry/exporter-trace-otlp-grpc"],
            "sources::opentelemetry_of_node_is_heard_over_grpc",
            opentelemetry_of_node_over_grpc,
        ),
        test_with(&[python, node], "sources::examples_for_applications_run_as_printed", examples),
    ]
}

/// An engine with the configuration for applications, and where it listens for OTLP and for JSON.
fn start() -> anyhow::Result<(Place, Engine, SocketAddr, SocketAddr)> {
    let free = ["127.0.0.1:4318", "127.0.0.1:4317", "127.0.0.1:8325"].map(|it| (it, "127.0.0.1:0"));
    let place = Place::new(&shipped("applications.toml", &free)?)?;
    let mut engine = place.run(&[])?;
    let (otlp, json) = (engine.address("OtlpInput")?, engine.address("HttpListenInput")?);
    Ok((place, engine, otlp, json))
}

fn run(language: &str, flag: &str, script: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = interpreter(language)
        .args([flag, script])
        .args(arguments)
        .output()
        .with_context(|| format!("cannot start {language}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{language}: {stderr}\n{script}");
    Ok(())
}

const PYTHON: &str = "
import logging, sys
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider, Histogram
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

url = sys.argv[1]
resource = Resource.create({'service.name': 'shop', 'host.name': 'web1'})
settings = dict(compression=Compression.Gzip)

logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(url + '/v1/logs', **settings)))
log = logging.getLogger('orders')
log.addHandler(LoggingHandler(logger_provider=logs))
log.error('no stock', extra={'article': 7, 'colors': ['red', 'blue']})
logs.shutdown()

view = View(instrument_name='spread', aggregation=ExponentialBucketHistogramAggregation())
reader = PeriodicExportingMetricReader(OTLPMetricExporter(url + '/v1/metrics', **settings))
meters = MeterProvider([reader], resource=resource, views=[view])
meter = meters.get_meter('lib', '1.2')
meter.create_counter('hits', unit='1').add(3, {'page': 'home'})
meter.create_up_down_counter('depth').add(-2)
meter.create_gauge('load').set(0.5)
meter.create_histogram('took', unit='ms').record(12.5)
meter.create_histogram('spread').record(3.0)
meters.shutdown()

spans = TracerProvider(resource=resource)
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url + '/v1/traces', **settings)))
with spans.get_tracer('lib').start_as_current_span('checkout', attributes={'items': 2}) as span:
    span.add_event('paid', {'amount': 9.5})
    span.set_status(Status(StatusCode.ERROR, 'too late'))
spans.shutdown()
";

fn opentelemetry_of_python() -> anyhow::Result<()> {
    let (_place, mut engine, otlp, _) = start()?;
    run("python3", "-c", PYTHON, &[&format!("http://{otlp}")])?;
    expect_all(&mut engine)?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// The same over gRPC, under TLS and with a key; without the key nothing comes in.
fn opentelemetry_of_python_over_grpc() -> anyhow::Result<()> {
    let (_place, mut engine, otlp, _) = start()?;
    let script = over_grpc("insecure=True");
    run("python3", "-c", &script, &[&otlp.to_string()])?;
    expect_all(&mut engine)?;
    engine.stop()?.expect_code(0)?;
    let place = Place::new(
        "[OtlpInput]\naddress = '127.0.0.1:0'\nuse_tls = true\nauth_type = 'API'\napi_key = 'sesame'\n\
         tls = { cert_file = 'DIR/server.pem', key_file = 'DIR/server.key' }\n\
         [told]\ntype = 'LogOutput'\nmessage_matcher = 'TRUE'\nencoder = 'RstEncoder'\n",
    )?;
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    place.write("server.pem", &own.cert.pem())?;
    place.write("server.key", &own.signing_key.serialize_pem())?;
    let mut engine = place.run(&[])?;
    let port = engine.address("OtlpInput")?.port();
    let address = format!("localhost:{port}");
    let secured = |key: &str| {
        let file = place.path("server.pem").display().to_string();
        over_grpc(&format!(
            "credentials=grpc.ssl_channel_credentials(open('{file}','rb').read()), \
             headers=(('x-api-key','{key}'),)"
        ))
    };
    run("python3", "-c", &secured("wrong").replace("no stock", "of a stranger"), &[&address])?;
    run("python3", "-c", &secured("sesame"), &[&address])?;
    expect_all(&mut engine)?;
    let finished = engine.stop()?.expect_code(0)?;
    anyhow::ensure!(!finished.stdout.contains("of a stranger"), "{}", finished.stdout);
    Ok(())
}

const NODE: &str = "
const address = process.argv[1];
const { credentials } = require('@grpc/grpc-js');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { TracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace');
const { OTLPLogExporter } = require('@opentelemetry/exporter-logs-otlp-grpc');
const { OTLPMetricExporter } = require('@opentelemetry/exporter-metrics-otlp-grpc');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-grpc');
const settings = { url: 'http://' + address, compression: 'gzip', credentials: credentials.createInsecure() };
const resource = resourceFromAttributes({ 'service.name': 'shop' });
async function send() {
  const processor = new BatchLogRecordProcessor({ exporter: new OTLPLogExporter(settings) });
  const logs = new LoggerProvider({ resource, processors: [processor] });
  const attributes = { article: 7, colors: ['red', 'blue'] };
  logs.getLogger('orders').emit({ severityNumber: 17, severityText: 'ERROR', body: 'no stock', attributes });
  await logs.shutdown();
  const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(settings) });
  const meters = new MeterProvider({ resource, readers: [reader] });
  meters.getMeter('lib', '1.2').createCounter('hits', { unit: '1' }).add(3, { page: 'home' });
  await meters.shutdown();
  const batches = new BatchSpanProcessor({ exporter: new OTLPTraceExporter(settings) });
  const spans = new TracerProvider({ resource, spanProcessors: [batches] });
  const span = spans.getTracer('lib').startSpan('checkout', { kind: 1, attributes: { items: 2 } });
  span.addEvent('paid', { amount: 9.5 });
  span.setStatus({ code: 2, message: 'too late' });
  span.end();
  await spans.shutdown();
}
send();
";

/// The official exporters of Node over gRPC: a log, a counter, a span with an event.
fn opentelemetry_of_node_over_grpc() -> anyhow::Result<()> {
    let (_place, mut engine, otlp, _) = start()?;
    run("node", "-e", NODE, &[&otlp.to_string()])?;
    expect_payload(&mut engine, "otlp.log", "no stock")?;
    let log = [
        ("severity_text", "", "ERROR"),
        ("article", "", "7"),
        ("colors", "", "[\"red\",\"blue\"]"),
        ("resource.service.name", "", "shop"),
    ];
    expect(&mut engine, "otlp.log", &log)?;
    let hits = [("name", "", "hits"), ("value", "1", "3"), ("page", "", "home")];
    expect(&mut engine, "otlp.metric", &hits)?;
    expect_span(&mut engine)?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// The same script with the exporters for gRPC and these settings of theirs.
fn over_grpc(settings: &str) -> String {
    let script = PYTHON.replace(".proto.http import Compression", ".proto.grpc import *");
    let script = script.replace(".proto.http.", ".proto.grpc.");
    let script = script.replace(
        "settings = dict(compression=Compression.Gzip)",
        &format!("import grpc\nsettings = dict(compression=grpc.Compression.Gzip, {settings})"),
    );
    ["logs", "metrics", "traces"]
        .iter()
        .fold(script, |script, name| script.replace(&format!("url + '/v1/{name}'"), "url"))
}

/// The same by way of another engine: what comes out is what went in.
fn passed_on() -> anyhow::Result<()> {
    let (_place, mut collector, otlp, _) = start()?;
    let place = Place::new(&format!(
        "[OtlpInput]\naddress = '127.0.0.1:0'\n\
         [OtlpOutput]\nmessage_matcher = \"Type =~ /^otlp/\"\n\
         address = 'http://{otlp}'\nflush_interval = '20ms'\n"
    ))?;
    let mut engine = place.run(&[])?;
    let address = engine.address("OtlpInput")?;
    run("python3", "-c", PYTHON, &[&format!("http://{address}")])?;
    expect_all(&mut collector)?;
    engine.stop()?.expect_code(0)?;
    collector.stop()?.expect_code(0)?;
    Ok(())
}

/// Waits for all that the script has sent.
fn expect_all(engine: &mut Engine) -> anyhow::Result<()> {
    expect_logs_and_metrics(engine)?;
    expect_span(engine)
}

fn expect_span(engine: &mut Engine) -> anyhow::Result<()> {
    let span = [
        ("status", "", "error"),
        ("status_message", "", "too late"),
        ("items", "", "2"),
        ("duration", "s", ""),
        ("trace_id", "", ""),
    ];
    expect(engine, "otlp.span", &span)?;
    expect_payload(engine, "otlp.span", "checkout")?;
    expect(engine, "otlp.event", &[("amount", "", "9.5"), ("span_id", "", "")])?;
    Ok(())
}

fn expect_logs_and_metrics(engine: &mut Engine) -> anyhow::Result<()> {
    expect_payload(engine, "otlp.log", "no stock")?;
    let log = [
        ("severity_text", "", "ERROR"),
        ("article", "", "7"),
        ("colors", "", "[\"red\",\"blue\"]"),
        ("scope.name", "", "orders"),
        ("resource.service.name", "", "shop"),
    ];
    expect(engine, "otlp.log", &log)?;
    let metric = "otlp.metric";
    let hits = [
        ("name", "", "hits"),
        ("value", "1", "3"),
        ("type", "", "sum"),
        ("monotonic", "", "true"),
        ("page", "", "home"),
        ("scope.version", "", "1.2"),
    ];
    expect(engine, metric, &hits)?;
    expect(
        engine,
        metric,
        &[("name", "", "depth"), ("value", "", "-2"), ("monotonic", "", "false")],
    )?;
    expect(engine, metric, &[("name", "", "load"), ("value", "", "0.5"), ("type", "", "gauge")])?;
    let took =
        [("name", "", "took"), ("sum", "ms", "12.5"), ("count", "", "1"), ("bounds", "ms", "")];
    expect(engine, metric, &took)?;
    let spread = [
        ("name", "", "spread"),
        ("type", "", "exponential_histogram"),
        ("scale", "", ""),
        ("positive_buckets", "", ""),
    ];
    expect(engine, metric, &spread)?;
    Ok(())
}

/// The blocks of code of the page in one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1);
    blocks.filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

fn examples() -> anyhow::Result<()> {
    let (_place, mut engine, otlp, json) = start()?;
    let page = format!("{}/config/applications.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(page)?;
    let here = |block: &str| {
        let block = block.replace("127.0.0.1:4318", &otlp.to_string());
        block.replace("127.0.0.1:8325", &json.to_string())
    };
    for (language, flag, fence) in [("python3", "-c", "python"), ("node", "-e", "js")] {
        let blocks = blocks(&page, fence);
        anyhow::ensure!(blocks.len() == 2, "{} examples for {language}", blocks.len());
        for block in blocks {
            let lines = block.lines().filter(|line| !line.trim().is_empty()).count();
            anyhow::ensure!(lines <= 10, "an example of {lines} lines");
            run(language, flag, &here(&block), &[])?;
        }
    }
    for name in ["orders.python", "orders.node"] {
        let order = [("name", "", name), ("value", "1", "1"), ("state", "", "paid")];
        expect(&mut engine, "otlp.metric", &order)?;
    }
    for payload in ["an order from python", "an order from node"] {
        expect_payload(&mut engine, "application", payload)?;
    }
    expect(&mut engine, "application", &[("amount", "", "12.5"), ("state", "", "paid")])?;
    engine.stop()?.expect_code(0)?;
    Ok(())
}
