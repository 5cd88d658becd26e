//! What decoding one record costs: `cargo bench --bench decode`.
//!
//! Each decoder gets the same records again and again, made with a fixed seed, and writes them into
//! batches as the engine does. The best of several rounds is printed, in nanoseconds per record.

use std::fmt::Write;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use heka::catalog::CATALOG;
use heka::message::Batch;
use heka::message::Marks;
use heka::message::Uuids;
use heka::metrics::Registry;
use heka::plugin::DecoderContext;
use heka::plugin::Decoding;
use heka::plugin::Engine;
use heka::plugin::Form;
use heka::plugin::Origin;
use heka::plugin::Record;

const RECORDS: usize = 4096;
const ROUNDS: usize = 30;

fn main() {
    let lines = lines();
    let length = lines.iter().map(Vec::len).sum::<usize>() / lines.len();
    println!("access log lines of {length} bytes on average");
    let combined = "log_format = \"combined\"\n";
    let encoded = measure("AccessLogDecoder, combined", "AccessLogDecoder", combined, &lines);
    measure("ProtobufDecoder", "ProtobufDecoder", "", &encoded);
    native_decoders();
    let objects = objects(&lines);
    measure("JsonDecoder, eight members", "JsonDecoder", "", &objects);
    let regex = "match_regex = '^(?P<Address>\\S+) \\S+ (?P<User>\\S+) \\[(?P<Timestamp>[^\\]]+)\\] \
                 \"(?P<Request>[^\"]*)\" (?P<Status>\\d+) (?P<Bytes>\\d+)'\n\
                 timestamp_layout = '02/Jan/2006:15:04:05 -0700'\n\
                 message_fields = { Address = '%Address%', Request = '%Request%', Status = '%Status%' }\n";
    measure("PayloadRegexDecoder, six groups", "PayloadRegexDecoder", regex, &lines);
}

/// The decoders of one format, each with lines that are alike but for a number.
fn native_decoders() {
    let lines = |line: &str| -> Vec<Vec<u8>> {
        (0..RECORDS).map(|index| line.replace('#', &index.to_string()).into_bytes()).collect()
    };
    for (kind, settings, line) in [
        (
            "SyslogDecoder",
            "",
            "<86>Nov 22 12:58:40 web-1 sshd[#]: Accepted publickey for user from 10.0.0.1 port 5\n",
        ),
        (
            "SyslogDecoder",
            "",
            "<165>1 2026-11-22T12:58:40.123456Z web-1 app # ID4 [a@1 x=\"1\" y=\"two\"] It is time\n",
        ),
        (
            "GrokDecoder",
            "match = ['^%{TIMESTAMP_ISO8601:Timestamp} - %{LOGLEVEL:Severity} +\\[%{DATA:thread}\\] - %{GREEDYDATA:Payload}$']\n",
            "2015-07-29 17:41:44,747 - INFO  [QuorumPeer[myid=1]:Election@774] - Notification time out: #\n",
        ),
        (
            "LogfmtDecoder",
            "",
            "ts=2026-11-22T15:33:21Z level=warn msg=\"it broke\" host=web-1 n=# t=2.5 ok=true\n",
        ),
        (
            "CsvDecoder",
            "columns = ['Timestamp', 'Severity', 'user', 'size:int', 'took:float']\n",
            "2026-11-22 15:33:21,error,\"a, b\",#,0.5\n",
        ),
        (
            "NginxErrorDecoder",
            "",
            "2026/11/22 16:33:21 [error] 16842#7: *# open() \"/a\" failed (2: No such file), client: 10.0.0.1, server: www, request: \"GET /a HTTP/1.1\", host: \"w\"\n",
        ),
        (
            "ApacheErrorDecoder",
            "",
            "[Sun Nov 22 15:33:21.5 2026] [core:info] [pid #:tid 7] [client 10.0.0.1:5] AH00128: Gone: /x\n",
        ),
        (
            "MysqlSlowQueryDecoder",
            "",
            "@ User@Host: a[a] @ web [10.0.0.1]  Id: 7\n@ Query_time: 2.5  Lock_time: 0.0 Rows_sent: 3  Rows_examined: 500\nSET timestamp=1795361601;\nSELECT #;\n",
        ),
        (
            "PostgresqlCsvlogDecoder",
            "",
            "2026-11-22 15:33:21.250 UTC,\"app\",\"shop\",#,\"10.0.0.1:5000\",6923.1,3,\"SELECT\",2026-11-22 15:00:00 UTC,4/12,0,ERROR,42P01,\"relation x\",,,,,,\"select 1\",15,,\"psql\"\n",
        ),
        (
            "HaproxyDecoder",
            "",
            "10.0.1.2:33317 [22/Nov/2026:16:33:21.500] in static/srv1 10/0/30/69/109 200 # - - ---- 1/2/3/4/5 6/7 \"GET /a HTTP/1.1\"\n",
        ),
    ] {
        let records = lines(line).into_iter().map(|line| {
            line.into_iter()
                .map(|byte| if kind.starts_with("Mysql") && byte == b'@' { b'#' } else { byte })
                .collect()
        });
        measure(kind, kind, settings, &records.collect::<Vec<Vec<u8>>>());
    }
}

/// Measures a decoder and returns the messages it made.
fn measure(title: &str, kind: &str, settings: &str, records: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut decoding = start(kind, settings);
    let mut origin = Origin::default();
    origin.message_type = b"logfile".to_vec();
    origin.logger = b"access".to_vec();
    origin.hostname = b"web-1.example.org".to_vec();
    origin.pid = Some(4711);
    let mut best = f64::MAX;
    let mut messages = Vec::new();
    let mut uuids = Uuids::seeded(1);
    for _ in 0..ROUNDS {
        let mut batches = vec![Batch::new()];
        let started = Instant::now();
        for bytes in records {
            let uuid = uuids.make();
            let (form, marks) = (Form::Payload, Marks::default());
            let record = Record { bytes, form, origin: &origin, now: 0, uuid, marks };
            let mut batch = batches.last_mut().expect("one is put in when it is made");
            if batch.is_full() {
                batches.push(Batch::sized_like(&batches[batches.len() - 1]));
                batch = batches.last_mut().expect("it was just put in");
            }
            decoding.decode(&record, batch).expect("the records are sound");
        }
        let nanoseconds = started.elapsed().as_nanos() as f64 / records.len() as f64;
        best = best.min(nanoseconds);
        messages = batches
            .iter()
            .flat_map(|batch| batch.iter().map(|message| message.bytes().to_vec()))
            .collect();
        black_box(&batches);
    }
    println!("{title:<40} {best:>8.0} ns");
    messages
}

fn start(kind: &str, settings: &str) -> Box<dyn Decoding> {
    let engine = Engine {
        hostname: Arc::from("host"),
        pid: 1,
        base_dir: PathBuf::new(),
        share_dir: PathBuf::new(),
        max_message_size: 65_536,
        max_message_loops: 4,
        max_process_inject: 1,
        max_timer_inject: 10,
        memory: Arc::default(),
        metrics: Arc::new(Registry::default()),
    };
    let row = CATALOG.decoders.iter().find(|row| row.name == kind).expect("a kind there is");
    let settings = toml::Deserializer::parse(settings).expect("settings that are TOML");
    let decoder = (row.read)(settings).expect("settings that are right");
    let none = |_: &str| anyhow::bail!("no other decoders here");
    decoder
        .start(&DecoderContext { name: kind, engine: &engine, decoder: &none })
        .expect("a decoder that starts")
}

/// The lines as JSON objects, with a member for each part.
fn objects(lines: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let object = |line: &Vec<u8>| {
        let text = String::from_utf8_lossy(line);
        let quoted: Vec<&str> = text.split('"').collect();
        let numbers: Vec<&str> = quoted[2].split_whitespace().collect();
        let object = serde_json::json!({
            "remote_addr": quoted[0].split(' ').next(),
            "remote_user": "-",
            "time": 1_772_323_200_000_000_000_i64,
            "request": quoted[1],
            "status": numbers[0].parse::<u32>().unwrap_or(0),
            "body_bytes_sent": numbers[1].parse::<u32>().unwrap_or(0),
            "http_referer": quoted[3],
            "http_user_agent": quoted[5],
        });
        object.to_string().into_bytes()
    };
    lines.iter().map(object).collect()
}

/// Lines in the combined format, a few in each second.
fn lines() -> Vec<Vec<u8>> {
    let mut seed = 42u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let agents = [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/99.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/98.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ];
    let statuses = [200, 200, 200, 304, 404, 500];
    (0..RECORDS)
        .map(|index| {
            let mut line = String::new();
            let second = index / 8;
            let _ = write!(
                line,
                "{}.{}.{}.{} - - [01/Mar/2026:{:02}:{:02}:{:02} +0000] \"GET /path/{}.html?id={} \
                 HTTP/1.1\" {} {} \"https://www.example.org/{}\" \"{}\"",
                random(256),
                random(256),
                random(256),
                random(256),
                second / 3600,
                second / 60 % 60,
                second % 60,
                random(1 << 31),
                random(1_000_000),
                statuses[usize::try_from(random(6)).unwrap_or(0)],
                random(40_000),
                random(1000),
                agents[usize::try_from(random(3)).unwrap_or(0)],
            );
            line.push('\n');
            line.into_bytes()
        })
        .collect()
}
