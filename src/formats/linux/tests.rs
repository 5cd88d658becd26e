//! Files of a machine, read.

use proptest::prelude::*;

use super::cpu;
use super::disk;
use super::load;
use super::memory;
use super::network;
use super::pressure;

#[test]
fn load_and_memory_are_read() {
    let load = load::read("0.20 0.18 0.12 1/80 11206\n").unwrap();
    assert_eq!((load.averages, load.running, load.processes), ([0.20, 0.18, 0.12], 1, 80));
    assert_eq!(load::read("0.20 x"), None);
    let amounts: Vec<_> = memory::amounts("MemTotal:  99 kB\nActive(anon): 3 kB\nHuge: 0\nbad\n")
        .map(|amount| format!("{}={}{}", amount.name, amount.value, amount.unit))
        .collect();
    assert_eq!(amounts, ["MemTotal=99kB", "Active(anon)=3kB", "Huge=0"]);
}

#[test]
fn processors_are_read_and_compared() {
    let text = "cpu  10 0 5 80 5 0 0 0 4 0\ncpu0 1 2\nintr 7 8\nctxt 9\ncpufreq 1\n";
    let counts: Vec<_> = cpu::counts(text).collect();
    let names: Vec<_> = counts.iter().map(|counts| (counts.name, counts.is_cpu())).collect();
    let expected =
        [("cpu", true), ("cpu0", true), ("intr", false), ("ctxt", false), ("cpufreq", false)];
    assert_eq!(names, expected);
    let before = &counts[0].values;
    let now = [15, 0, 10, 150, 25, 0, 0, 0, 4, 0];
    let (shares, busy) = cpu::shares(before, &now).unwrap();
    assert_eq!((shares[0], shares[3], busy), (5.0, 70.0, 10.0));
    assert_eq!(cpu::shares(before, before), None);
}

#[test]
fn disks_are_read_from_both_files() {
    let text = " 254 0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13\n 254 1 vda1 1 2 3 4 5 6 7 8 9 10 11\n \
                 7 0 loop0 1 0 0 0 0 0 0 0 0 0 0\n 259 0 nvme0n1 0 0 0 0 1 0 0 0 0 0 0\n \
                 259 1 nvme0n1p1 1 0 0 0 1 0 0 0 0 0 0\n 8 0 sda 0 0 0 0 0 0 0 0 0 0 0\n";
    let disks: Vec<_> = disk::disks(text).collect();
    assert_eq!(disks[0].counts, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    let used: Vec<_> =
        disks.iter().filter(|disk| disk.is_whole_and_used()).map(|disk| disk.device).collect();
    assert_eq!(used, ["vda", "nvme0n1"]);
    let disks: Vec<_> = disk::disks("  1 2 3 4 5 6 7 8 9 10 11 12\n").collect();
    assert_eq!((disks[0].device, disks[0].counts[10]), ("", 11));
}

#[test]
fn network_is_read() {
    let text = "Inter-|   Receive\n face |bytes\n  eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
    let interfaces: Vec<_> = network::interfaces(text).collect();
    assert_eq!((interfaces[0].name, interfaces[0].counts[15]), ("eth0", 16));
    let text = "Ip: In Out\nIp: 1 2\nTcp: Max\nTcp: -1\nOdd: a\n";
    let counts: Vec<_> = network::protocols(text).collect();
    assert_eq!(counts, [("Ip", "In", 1), ("Ip", "Out", 2), ("Tcp", "Max", -1)]);
    let mut states = [0; 12];
    network::count_states(
        "  sl local rem st\n 0: a b 0A x\n 1: a b 01 x\n 2: a b FF x\n",
        &mut states,
    );
    assert_eq!((states[0], states[9], states.iter().sum::<u64>()), (1, 1, 2));
}

#[test]
fn pressure_is_read() {
    let text = "some avg10=64.85 avg60=52.34 avg300=54.88 total=8210\nfull avg10=1 x\n";
    let found: Vec<_> = pressure::lines(text).collect();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].share, found[0].averages[0], found[0].total), ("some", 64.85, 8210));
}

proptest! {
    #[test]
    fn nothing_makes_them_panic(text in "([a-zA-Z:=/. 0-9-]{0,40}\n){0,4}") {
        let _ = load::read(&text);
        memory::amounts(&text).count();
        cpu::counts(&text).count();
        disk::disks(&text).filter(disk::Disk::is_whole_and_used).count();
        network::interfaces(&text).count();
        network::protocols(&text).count();
        network::count_states(&text, &mut [0; 12]);
        pressure::lines(&text).count();
    }
}
