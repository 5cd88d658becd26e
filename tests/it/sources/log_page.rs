//! The logs of `config/logs.toml`, a few lines of each: read by the configuration as it is shipped, into
//! typed fields.

use libtest_mimic::Trial;

use super::daemons::expect;
use super::daemons::expect_payload;
use super::daemons::shipped;
use crate::harness::Place;
use crate::suite::test;

pub(super) fn trials() -> Vec<Trial> {
    vec![test("sources::logs_of_the_page_are_read_into_typed_fields", page)]
}

/// Where a log lies, and what is in it; one ends with CRLF, and one without an end.
const LOGS: [(&str, &str); 12] = [
    ("syslog", "<13>Mar  1 10:00:01 web1 sshd[12]: Accepted publickey for deploy\n"),
    (
        "nginx/access.log",
        "10.0.0.1 - anna [01/Mar/2026:10:00:01 +0000] \"GET /cart?id=7 HTTP/1.1\" 404 512 \"-\" \
         \"probe/1.0\"\n",
    ),
    (
        "nginx/error.log",
        "2026/03/01 10:00:01 [error] 12#13: *3 open() \"/srv/x\" failed (2: No such file or \
         directory), client: 10.0.0.1, server: shop, request: \"GET /x HTTP/1.1\", host: \"shop\"\n",
    ),
    (
        "apache2/error.log",
        "[Sun Mar 01 10:00:01.250000 2026] [core:error] [pid 12:tid 34] [client 10.0.0.1:1234] \
         AH00126: Invalid URI in request\n",
    ),
    (
        "haproxy.log",
        "Mar  1 10:00:01 lb haproxy[12]: 10.0.0.1:4711 [01/Mar/2026:10:00:01.250] front back/one \
         1/2/3/4/10 200 512 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"\n",
    ),
    (
        "mysql/mysql-slow.log",
        "# Time: 2026-03-01T10:00:01.250000Z\n# User@Host: shop[shop] @ localhost [127.0.0.1]  Id: 7\n\
         # Query_time: 2.500000  Lock_time: 0.000100 Rows_sent: 3  Rows_examined: 9000\n\
         SET timestamp=1772359201;\nselect *\n  from orders;\n",
    ),
    (
        "postgresql/day.csv",
        "2026-03-01 10:00:01.250 UTC,\"shop\",\"orders\",12,\"10.0.0.1:4711\",65e0a2f1.c,1,\"SELECT\",\
         2026-03-01 09:59:00 UTC,3/7,0,ERROR,42P01,\"relation \"\"baskets\"\" does not exist\",,,,,,\
         \"select *\nfrom baskets\",15,,\"psql\",\"client backend\",,0\n",
    ),
    (
        "app/app.log",
        "level=info msg=\"order paid\" amount=12.5 items=2\nTraceback (most recent call last):\n  \
         File \"x.py\", line 1, in <module>\nValueError: no stock\nlevel=warn msg=slow\n",
    ),
    (
        "zookeeper/zookeeper.log",
        "2026-03-01 10:00:01,250 - WARN  [QuorumPeer[myid=1]/0.0.0.0:2181:FastLeaderElection@774] - \
         Notification time out: 3200\n",
    ),
    (
        "hadoop/datanode.log",
        "260301 100001 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_1 \
         terminating\n",
    ),
    ("health/steps.log", "20260301-10:0:1:25|Step_LSC|30002312|onStandStepChanged 3579\n"),
    (
        "proxifier/proxifier.log",
        "[03.01 10:00:01] browser.exe *64 - proxy.example.com:5070 close, 403 bytes sent, 4260 bytes \
         (4.16 KB) received, lifetime 00:01\r\n\
         [03.01 10:00:02] browser.exe - shop.example.com:443 open through proxy \
         proxy.example.com:5070 HTTPS",
    ),
];

/// A type, and of one of its messages fields with their units and values.
type Expected<'a> = (&'a str, &'a [(&'a str, &'a str, &'a str)]);

const FIELDS: [Expected<'_>; 11] = [
    ("logfile", &[("programname", "", "sshd"), ("syslogfacility", "", "1")]),
    ("nginx.access", &[("status", "", "404"), ("body_bytes_sent", "B", "512")]),
    ("nginx.error", &[("tid", "", "13"), ("client", "", "10.0.0.1")]),
    ("apache.error", &[("module", "", "core"), ("tid", "", "34"), ("code", "", "AH00126")]),
    ("haproxy", &[("time_active", "ms", "10"), ("status", "", "200"), ("is_tls", "", "false")]),
    ("mysql.slow-query", &[("Query_time", "s", "2.5"), ("Rows_examined", "", "9000")]),
    ("postgresql", &[("sql_state_code", "", "42P01"), ("query_pos", "", "15")]),
    ("logfile", &[("amount", "", "12.5"), ("items", "", "2")]),
    ("zookeeper", &[("class", "", "FastLeaderElection"), ("line", "", "774")]),
    ("proxifier", &[("bits", "", "64"), ("received", "B", "4260"), ("lifetime", "", "00:01")]),
    ("proxifier", &[("program", "", "browser.exe"), ("protocol", "", "HTTPS")]),
];

const PAYLOADS: [(&str, &str); 7] = [
    ("app.text", "Traceback (most recent call last)"),
    ("logfile", "slow"),
    ("health_app", "onStandStepChanged 3579"),
    ("hadoop", "PacketResponder 1 for block blk_1 terminating"),
    ("mysql.slow-query", "select *"),
    ("postgresql", "relation \"baskets\" does not exist"),
    ("zookeeper", "Notification time out: 3200"),
];

fn page() -> anyhow::Result<()> {
    let config = shipped("logs.toml", &[("\"/var/log", "\"DIR/log")])?;
    let place = Place::new(&format!(
        "{config}\n[told]\ntype = 'LogOutput'\nmessage_matcher = 'TRUE'\nencoder = 'RstEncoder'\n"
    ))?;
    for (name, lines) in LOGS {
        place.write(&format!("log/{name}"), lines)?;
    }
    let mut engine = place.run(&["--until-done"])?;
    for (kind, fields) in FIELDS {
        expect(&mut engine, kind, fields)?;
    }
    for (kind, part) in PAYLOADS {
        expect_payload(&mut engine, kind, part)?;
    }
    let stderr = engine.finish()?.expect_code(0)?.stderr;
    anyhow::ensure!(stderr.contains("15 messages in"), "{stderr}");
    anyhow::ensure!(!stderr.contains("WARN"), "{stderr}");
    Ok(())
}
