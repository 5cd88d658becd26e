//! A machine made of files, looked at twice, and the one that runs the tests.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::inputs::testing::Desk;
use crate::message::Batch;
use crate::message::Value;

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn machine(folder: &Path, settings: &str) -> Machine {
    let mut input: HostMetricsInput = toml::from_str(settings).unwrap();
    input.proc_path = folder.join("proc");
    input.sys_path = folder.join("sys");
    Machine::new(input, Desk::new("host").context().origin("stats"))
}

/// Checks that there is a message of this type with all these fields: `name=value`.
fn check(batch: &Batch, message_type: &str, expected: &[&str]) {
    let shown: Vec<Vec<String>> = batch
        .iter()
        .filter(|message| message.message_type() == message_type.as_bytes())
        .map(|message| {
            let fields = message.fields().map(|field| {
                let values: Vec<String> = field.values().map(|value| show(&value)).collect();
                let unit = String::from_utf8_lossy(field.representation());
                format!("{}={}{unit}", String::from_utf8_lossy(field.name()), values.join(","))
            });
            fields.collect()
        })
        .collect();
    let has_all =
        |fields: &Vec<String>| expected.iter().all(|one| fields.iter().any(|it| it == one));
    assert!(shown.iter().any(has_all), "no {message_type} with {expected:?} in {shown:#?}");
}

fn show(value: &Value<'_>) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Double(number) => format!("{number:?}"),
        value => String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned(),
    }
}

#[test]
fn system_is_told_as_heka_did() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "proc/loadavg", "0.20 0.18 0.12 1/80 11206\n");
    write(
        at,
        "proc/meminfo",
        "MemTotal: 100 kB\nMemAvailable: 60 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
    );
    write(at, "proc/uptime", "1000.5 2000.1\n");
    write(at, "proc/sys/fs/file-nr", "90\t10\t800\n");
    write(at, "proc/pressure/cpu", "some avg10=1.00 avg60=2.00 avg300=3.00 total=4\n");
    let batch =
        machine(at, "collect = ['load', 'memory', 'uptime', 'files', 'pressure']").look_after(None);
    check(&batch, "stats.loadavg", &["1MinAvg=0.2", "NumProcesses=1.0", "processes=80"]);
    check(
        &batch,
        "stats.memstats",
        &["MemTotal=100.0kB", "MemUsed=40.0kB", "MemUsedPercent=40.0%"],
    );
    check(&batch, "stats.uptime", &["uptime=1000.5s"]);
    check(&batch, "stats.files", &["open=80", "maximum=800", "used=11.25%"]);
    check(&batch, "stats.pressure", &["resource=cpu", "some_avg60=2.0%", "some_total=4us"]);
    assert_eq!(batch.len(), 5);
}

#[test]
fn rates_are_told_from_the_second_look_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let settings = "collect = ['cpu', 'disks', 'network', 'processes']\ntop_processes = 1";
    let mut machine = machine(at, settings);
    let files = |ticks: u64, count: u64| {
        write(
            at,
            "proc/stat",
            &format!("cpu {ticks} 0 0 {ticks}\ncpu0 {ticks} 0 0 100\nctxt {count}\n"),
        );
        write(at, "proc/diskstats", &format!(" 8 0 sda {count} 0 {count} 7 1 0 0 0 0 {count} 0\n"));
        write(at, "proc/net/dev", &format!("eth0: {count} 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"));
        let process =
            format!("7 (a (b) c) R 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 3 0 55 0 9 0\n");
        write(at, "proc/7/stat", &process);
        write(at, "proc/8/stat", &process.replace("7 (a", "8 (a").replace(" 9 0\n", " 1 0\n"));
    };
    files(100, 1000);
    let first = machine.look_after(None);
    check(&first, "stats.procstat", &["cpu=100.0,0.0,0.0,100.0", "ctxt=1000.0"]);
    check(&first, "stats.diskstats", &["device=sda", "ReadsCompleted=1000.0"]);
    let tick = rustix::param::clock_ticks_per_second();
    files(100 + tick, 3000);
    let second = machine.look_after(Some(2.0));
    check(
        &second,
        "stats.cpu",
        &["cpu=cpu", "busy=50.0%", "user=50.0%", "context_switches_per_second=1000.01/s"],
    );
    check(&second, "stats.cpu", &["cpu=cpu0", "busy=100.0%"]);
    check(
        &second,
        "stats.diskstats",
        &["reads_per_second=1000.01/s", "read_bytes_per_second=512000.0B/s", "utilization=100.0%"],
    );
    check(&second, "stats.netdev", &["netdevice=eth0", "receive_bytes_per_second=1000.0B/s"]);
    let page = rustix::param::page_size();
    let memory = format!("memory={}B", page * 9);
    check(
        &second,
        "stats.process",
        &["pid=7", "name=a (b) c", "state=R", "threads=3", "cpu=50.0%", &memory, "memory_rank=1"],
    );
    check(&second, "stats.processes", &["running=2", "total=2"]);
}

#[test]
fn groups_of_both_versions_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "sys/fs/cgroup/cpuacct/a/cpuacct.usage", "5000\n");
    write(at, "sys/fs/cgroup/memory/a/memory.usage_in_bytes", "10\n");
    write(at, "sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
    let batch = machine(at, "collect = ['cgroups']").look_after(None);
    check(&batch, "stats.cgroup", &["path=/a", "cpu_total=5us", "memory=10B"]);
    assert_eq!(batch.len(), 1);
    write(at, "sys/fs/cgroup/cgroup.controllers", "cpu");
    write(at, "sys/fs/cgroup/b/cpu.stat", "usage_usec 1000\n");
    write(at, "sys/fs/cgroup/b/memory.max", "max\n");
    let mut machine = machine(at, "collect = ['cgroups']");
    machine.look_after(None);
    write(at, "sys/fs/cgroup/b/cpu.stat", "usage_usec 501000\n");
    let batch = machine.look_after(Some(1.0));
    check(&batch, "stats.cgroup", &["path=/b", "cpu_total=501000us", "cpu=50.0%"]);
}

#[test]
fn this_machine_is_told_of_whatever_it_has() {
    let input = HostMetricsInput::default();
    let mut machine = Machine::new(input, Desk::new("host").context().origin("stats"));
    machine.look();
    let batch = machine.look();
    let types: BTreeSet<String> = batch
        .iter()
        .map(|message| String::from_utf8_lossy(message.message_type()).into_owned())
        .collect();
    for expected in ["loadavg", "memstats", "procstat", "uptime", "processes", "process", "files"] {
        assert!(types.contains(&format!("stats.{expected}")), "{expected} of {types:?}");
    }
}

#[tokio::test]
async fn every_tick_gives_messages() {
    let mut desk = Desk::new("host");
    desk.ticker_interval = Duration::from_millis(5);
    let input: HostMetricsInput = toml::from_str("collect = ['load']").unwrap();
    let running = tokio::spawn(Box::new(input).run(desk.context()));
    let batches = desk.wait_for_messages(2).await;
    check(&batches[1], "stats.loadavg", &[]);
    desk.stopping.cancel();
    running.await.unwrap().unwrap();
}
