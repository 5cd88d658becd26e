//! The filters that come with the engine do the same again: from the beginning, and from a snapshot.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use super::*;

/// The filters, with what they are configured with where they need it.
fn filters() -> Vec<(PathBuf, Spec)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sandboxes/filters");
    let mut found = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with("_spec.lua") || path.extension().is_none_or(|it| it != "lua") {
            continue;
        }
        let mut spec = filter(&fs::read_to_string(&path).unwrap());
        spec.limits.max_process_inject = 100;
        spec.limits.max_timer_inject = 100;
        spec.limits.cpu = Duration::from_mins(1);
        spec.modules.built_in = Some(Arc::new(|file: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua").join(file);
            fs::read_to_string(path).ok()
        }));
        for (key, value) in [
            ("message_variable", "Fields[host]"),
            ("stats", "status"),
            ("stat_labels", "status"),
            ("name_prefix", "x"),
        ] {
            spec.config.insert(key.to_owned(), ConfigValue::String(value.to_owned()));
        }
        for (key, value) in [("max_hosts", 9), ("rows", 20), ("sec_per_row", 1)] {
            spec.config.insert(key.to_owned(), ConfigValue::Integer(value));
        }
        found.push((path, spec));
    }
    found
}

const TYPES: [&str; 8] = [
    "nginx.access",
    "stats.loadavg",
    "stats.memstats",
    "stats.diskstats",
    "stats.procstat",
    "heka.memstat",
    "heka.statmetric",
    "mysql.slow-query",
];

/// Fields that one filter or another reads.
const FIELDS: [&str; 14] = [
    "status",
    "1MinAvg",
    "5MinAvg",
    "15MinAvg",
    "NumProcesses",
    "MemFree",
    "Cached",
    "HeapSys",
    "HeapAlloc",
    "Query_time",
    "Rows_sent",
    "WritesCompleted",
    "TickerInterval",
    "cpu_percent",
];

fn messages(numbers: &[(u8, u16)]) -> Batch {
    let mut batch = Batch::new();
    for (index, (kind, number)) in numbers.iter().enumerate() {
        let kind = usize::from(*kind);
        let seconds = i64::try_from(index).unwrap() * i64::from(kind % 3 == 0);
        let host = format!("host{}", number % 5);
        let mut out = batch.begin();
        out.uuid(&[7; 16]).timestamp(1_000_000_000 * (100 + seconds));
        out.message_type(TYPES[kind % TYPES.len()].as_bytes()).payload(b"a 1 100\nb 2 100\n");
        out.logger(b"log").hostname(host.as_bytes()).string("host", "", host.as_bytes());
        for (place, field) in FIELDS.iter().enumerate() {
            if (kind + place) % 4 != 0 {
                out.double(field, "", f64::from(number % 600) + 100.0);
            }
        }
        out.finish().unwrap();
    }
    batch
}

/// Runs a filter over messages, a timer behind every fifth; from message `cut` on in a sandbox of its
/// own, made from a snapshot.
fn told(spec: &Spec, batch: &Batch, cut: usize) -> Vec<Vec<u8>> {
    let mut sandbox = Sandbox::load(spec).unwrap();
    let mut told = Vec::new();
    for index in 0..batch.len() {
        if index == cut {
            let state = sandbox.snapshot().unwrap();
            sandbox = Sandbox::load(spec).unwrap();
            assert_eq!(sandbox.restore(&state).unwrap(), Restored::default());
        }
        let ns = batch.message(index).timestamp();
        let now = EntryTime { position: index as u64, ns };
        let mut out = Batch::new();
        let mut failures = Vec::new();
        let matched = [u16::try_from(index).unwrap()];
        let done = sandbox.process(batch, &matched, now, &mut out, &mut |failure| {
            failures.push(failure.message);
        });
        told.push(format!("{:?} {failures:?}", done.stop).into_bytes());
        if (index + 1).is_multiple_of(5) && sandbox.has_timer() {
            let done = sandbox.timer(ns, now, false, &mut out);
            told.push(
                format!(
                    "{:?}",
                    done.map_err(|trouble| match trouble {
                        Trouble::Failed(failure) => failure.message,
                        Trouble::Stopped(stop) => format!("{stop:?}"),
                    })
                )
                .into_bytes(),
            );
        }
        told.extend(out.iter().map(|message| message.bytes().to_vec()));
        if done.stop.is_some() {
            break;
        }
    }
    told
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(6))]
    #[test]
    fn filters_do_the_same_again(
        numbers in proptest::collection::vec((0_u8..16, 0_u16..1000), 5..30),
        cut in 0_usize..30,
    ) {
        let batch = messages(&numbers);
        let mut seen = 0;
        for (path, spec) in filters() {
            let names = Names::of(Role::Filter);
            let remarks = lint(&spec.script.text, &names, true);
            if remarks.iter().any(|remark| remark.message.contains("pairs")) {
                continue;
            }
            let once = told(&spec, &batch, usize::MAX);
            proptest::prop_assert!(once == told(&spec, &batch, usize::MAX), "{}", path.display());
            proptest::prop_assert!(once == told(&spec, &batch, cut), "{} at {cut}", path.display());
            seen += 1;
        }
        proptest::prop_assert!(seen >= 12, "only {seen} filters");
    }
}
