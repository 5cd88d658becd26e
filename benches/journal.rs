//! What appending, syncing and reading at the tail cost together: CPU time a message, in batches of
//! 256 messages of 350 bytes.
//!
//! `cargo bench --bench journal -- [FOLDER]`; the folder should be on the disk that is meant.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use heka::journal::Compression;
use heka::journal::Journal;
use heka::journal::Next;
use heka::journal::Reader;
use heka::journal::ReaderOptions;
use heka::journal::Reads;
use heka::journal::Settings;
use heka::journal::StorageKind;
use heka::message::Batch;
use heka::message::Header;
use heka::message::Marks;
use heka::message::Source;
use heka::message::SourcePosition;
use heka::stdx::clock::System;
use nix::sys::resource::UsageWho;
use nix::sys::resource::getrusage;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCHES: u64 = 4_000;
const MESSAGES: u64 = BATCHES * Batch::MAX_MESSAGES as u64;

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from).join("heka-bench-journal");
    let message = message();
    let header = Header::locate(&message).expect("it is a message");
    let making = cpu(|| {
        for number in 0..BATCHES {
            std::hint::black_box(batch(&message, header, number));
        }
    });
    println!("{:<34} {making:>8.1} ns/message", "making the batches (taken off below)");
    for (name, storage, compression, reads) in [
        ("disk, nobody reads", StorageKind::Disk, Compression::None, None),
        ("disk, read as appended", StorageKind::Disk, Compression::None, Some(Reads::Appended)),
        ("disk, read as synced", StorageKind::Disk, Compression::None, Some(Reads::Durable)),
        ("disk, LZ4, read as synced", StorageKind::Disk, Compression::Lz4, Some(Reads::Durable)),
        ("memory", StorageKind::Memory, Compression::None, Some(Reads::Durable)),
    ] {
        let _ = std::fs::remove_dir_all(&folder);
        let settings =
            Settings { storage, compression, max_bytes: Some(2 << 30), ..Settings::default() };
        let journal = Journal::open(&folder, &settings, Arc::new(System::new()));
        let journal = journal.expect("the folder can be written").0;
        let reader = reads.map(|reads| {
            let options = ReaderOptions { reads, ..ReaderOptions::default() };
            journal.reader("bench", options).expect("there are few readers")
        });
        let spent = cpu(|| append_and_read(&journal, reader, reads, &message, header));
        journal.close().expect("the folder can be written");
        println!("{name:<34} {:>8.1} ns/message", spent - making);
    }
    let _ = std::fs::remove_dir_all(&folder);
}

fn append_and_read(
    journal: &Journal,
    reader: Option<Reader>,
    reads: Option<Reads>,
    message: &[u8],
    header: Header,
) {
    let reading = reader.map(|reader| thread::spawn(move || read_all(reader)));
    if let Some(reading) = &reading {
        let thread = reading.thread().clone();
        let wake = Arc::new(move || thread.unpark());
        if reads == Some(Reads::Appended) {
            journal.subscribe(wake);
        } else {
            journal.subscribe_durable(wake);
        }
    }
    for number in 0..BATCHES {
        journal.append(batch(message, header, number)).expect("there is room");
    }
    if let Some(reading) = reading {
        reading.join().expect("the reader reads on");
    }
}

fn read_all(mut reader: Reader) {
    let mut left = BATCHES;
    while left > 0 {
        match reader.next().expect("the folder can be read") {
            Next::Entry(entry) => {
                reader.commit(entry.position);
                left -= 1;
            }
            Next::Empty => thread::park_timeout(Duration::from_millis(50)),
            Next::Missed { first, last, .. } => panic!("{first} to {last} are missing"),
        }
    }
}

fn message() -> Vec<u8> {
    let mut message = vec![0x0a, 16];
    message.extend_from_slice(&[7; 16]);
    message.extend_from_slice(&[0x10, 5, 0x32, 0xc5, 0x02]);
    message.extend(
        (0..325_u32).map(|index| b"abcdefghijklmnopqrstuvwxyz"[(index * index % 26) as usize]),
    );
    message
}

fn batch(message: &[u8], header: Header, number: u64) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..Batch::MAX_MESSAGES {
        batch.push_located(message, header, Marks::default()).expect("it is small");
    }
    batch.reach(&Source::from("bench"), SourcePosition::at(number));
    batch
}

/// CPU time of the process during `work`, in nanoseconds a message.
fn cpu(work: impl FnOnce()) -> f64 {
    let before = spent();
    work();
    (spent() - before) * 1e9 / MESSAGES as f64
}

fn spent() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask about itself");
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
        .sum()
}
