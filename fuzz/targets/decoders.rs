//! The other decoders: the first byte says which, the rest is a record.

#![no_main]

use std::cell::RefCell;

use heka::plugin::Decoding;
use libfuzzer_sys::fuzz_target;

const DECODERS: &[(&str, &str)] = &[
    ("ApacheErrorDecoder", ""),
    (
        "CsvDecoder",
        "columns = ['Timestamp', 'Severity', 'user', 'size:int', 'took:float', 'ok:bool']",
    ),
    ("HaproxyDecoder", ""),
    ("LinuxStatsDecoder", "format = 'loadavg'"),
    ("LinuxStatsDecoder", "format = 'meminfo'"),
    ("LinuxStatsDecoder", "format = 'procstat'"),
    ("LinuxStatsDecoder", "format = 'diskstats'"),
    ("LinuxStatsDecoder", "format = 'netdev'"),
    ("LinuxStatsDecoder", "format = 'netstat'"),
    ("LogfmtDecoder", ""),
    ("MysqlSlowQueryDecoder", ""),
    ("NginxErrorDecoder", ""),
    ("PostgresqlCsvlogDecoder", ""),
    ("ProtobufDecoder", ""),
    ("SyslogDecoder", ""),
    ("JsonDecoder", "map_fields = true\nTimestamp = 't'\nPayload = 'p'\nmaximum_depth = 2"),
];

type Started = Vec<Option<Box<dyn Decoding>>>;

thread_local! {
    static STARTED: RefCell<Started> = const { RefCell::new(Vec::new()) };
}

fuzz_target!(|bytes: &[u8]| {
    let Some((which, record)) = bytes.split_first() else { return };
    STARTED.with_borrow_mut(|started| {
        if started.is_empty() {
            let start = |(kind, settings): &(&str, &str)| heka_fuzz::start(kind, settings).ok();
            started.extend(DECODERS.iter().map(start));
            assert!(started.iter().all(Option::is_some), "a decoder does not start");
        }
        let which = usize::from(*which) % started.len();
        if let Some(decoding) = &mut started[which] {
            let _ = heka_fuzz::decode(&mut **decoding, record);
        }
    });
});
