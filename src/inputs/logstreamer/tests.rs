//! Rotation in all its forms: by hand, against the running input, and at random against a follower.

use std::fs::File;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::follow::Follower;
use super::follow::Start;
use super::follow::Step;
use super::place::Place;
use super::*;
use crate::inputs::testing::Desk;
use crate::message::SourcePosition;
use crate::stdx::clock::Clock;
use crate::stdx::clock::System;

/// A folder of logs, and the input over it.
struct Logs {
    folder: tempfile::TempDir,
    settings: String,
}

impl Logs {
    fn new() -> Logs {
        let settings = "file_match = 'log(\\.(?P<Seq>\\d+))?(\\.gz)?'\npriority = ['^Seq']\n";
        Logs { folder: tempfile::tempdir().unwrap(), settings: settings.to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn compress(&self, name: &str) {
        compress(&self.path(name));
    }

    fn input(&self) -> LogstreamerInput {
        let text = format!(
            "{}log_directory = '{}'\ncheck_data_interval = 10\nrescan_interval = 100\n",
            self.settings,
            self.folder.path().display()
        );
        toml::from_str(&text).unwrap()
    }

    async fn read_all(&self, desk: &Desk) {
        let mut desk = desk.restarted();
        desk.until_done = true;
        Box::new(self.input()).run(desk.context()).await.unwrap();
    }

    fn follow(&self, desk: &Desk) -> tokio::task::JoinHandle<anyhow::Result<()>> {
        tokio::spawn(Box::new(self.input()).run(desk.context()))
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Does what gzip does: the time of the file stays.
fn compress(path: &Path) {
    let written = std::fs::metadata(path).unwrap().modified().unwrap();
    let compressed = PathBuf::from(format!("{}.gz", path.display()));
    let mut encoder = GzEncoder::new(File::create(compressed).unwrap(), Compression::fast());
    encoder.write_all(&std::fs::read(path).unwrap()).unwrap();
    encoder.finish().unwrap().set_modified(written).unwrap();
    std::fs::remove_file(path).unwrap();
}

fn texts(delivered: &[crate::inputs::testing::Delivered]) -> Vec<&str> {
    delivered.iter().map(|one| one.text.as_str()).collect()
}

#[tokio::test]
async fn files_are_read_oldest_first_and_the_last_line_may_lack_its_end() {
    let logs = Logs::new();
    logs.append("log.2", "one\n");
    logs.compress("log.2");
    logs.append("log.1", "two\nthree\n");
    logs.append("log", "four\nfive");
    logs.append("other", "no\n");
    let desk = Desk::new("logs");
    logs.read_all(&desk).await;
    assert_eq!(desk.lines("logs"), ["one", "two", "three", "four", "five"]);
    logs.append("log", "\nsix\n");
    logs.read_all(&desk).await;
    assert_eq!(desk.lines("logs")[5..], ["", "six"]);
}

#[tokio::test]
async fn each_stream_has_its_own_name_position_and_origin() {
    let mut logs = Logs::new();
    logs.settings = "file_match = '(?P<Site>\\w+)/log'\ndifferentiator = ['web-', 'Site']\n\
                     hostname = 'front'\n"
        .to_owned();
    for site in ["a", "b"] {
        std::fs::create_dir(logs.path(site)).unwrap();
        logs.append(&format!("{site}/log"), &format!("{site}1\n{site}2\n"));
    }
    let desk = Desk::new("logs");
    logs.read_all(&desk).await;
    logs.append("b/log", "b3\n");
    logs.read_all(&desk).await;
    assert_eq!(desk.lines("web-a"), ["a1", "a2"]);
    assert_eq!(desk.lines("web-b"), ["b1", "b2", "b3"]);
    let origin = desk.delivered()[0].origin.clone();
    assert_eq!((&origin.message_type[..], &origin.hostname[..]), (&b"logfile"[..], &b"front"[..]));
}

#[tokio::test]
async fn running_input_follows_rename_and_create() {
    let logs = Logs::new();
    logs.append("log", "one\n");
    let desk = Desk::new("logs");
    let running = logs.follow(&desk);
    desk.wait_for(1).await;
    logs.append("log", "two\nhal");
    logs.rename("log", "log.1");
    logs.append("log.1", "f\nthree");
    logs.append("log", "four\n");
    assert_eq!(texts(&desk.wait_for(5).await), ["one", "two", "half", "three", "four"]);
    desk.stopping.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn folder_that_is_made_later_is_found_before_a_scan_is_due() {
    let logs = Logs::new();
    let desk = Desk::new("logs");
    let folder = logs.path("later");
    let mut input = logs.input();
    input.settings.log_directory.clone_from(&folder);
    input.settings.rescan_interval = Duration::from_hours(1);
    let running = tokio::spawn(Box::new(input).run(desk.context()));
    // It has looked at least once, and there was nothing.
    tokio::task::yield_now().await;
    std::fs::create_dir(&folder).unwrap();
    append(&folder.join("log"), "one\n");
    assert_eq!(texts(&desk.wait_for(1).await), ["one"]);
    std::fs::rename(folder.join("log"), folder.join("log.1")).unwrap();
    append(&folder.join("log"), "two\n");
    assert_eq!(texts(&desk.wait_for(2).await), ["one", "two"]);
    desk.stopping.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn running_input_follows_copy_and_truncate() {
    let logs = Logs::new();
    logs.append("log", "one\ntwo\n");
    let desk = Desk::new("logs");
    let running = logs.follow(&desk);
    desk.wait_for(2).await;
    std::fs::copy(logs.path("log"), logs.path("log.1")).unwrap();
    File::create(logs.path("log")).unwrap();
    logs.append("log", "three\n");
    assert_eq!(texts(&desk.wait_for(3).await), ["one", "two", "three"]);
    // Longer than before when it is looked at next, with other bytes in it.
    std::fs::copy(logs.path("log"), logs.path("log.1")).unwrap();
    File::create(logs.path("log")).unwrap().write_all(b"four\nfive and more\n").unwrap();
    assert_eq!(texts(&desk.wait_for(5).await)[3..], ["four", "five and more"]);
    desk.stopping.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn running_input_reads_a_deleted_file_to_its_end_and_the_new_one_from_its_start() {
    let logs = Logs::new();
    logs.append("log", "one\n");
    let desk = Desk::new("logs");
    let running = logs.follow(&desk);
    desk.wait_for(1).await;
    let mut open = OpenOptions::new().append(true).open(logs.path("log")).unwrap();
    std::fs::remove_file(logs.path("log")).unwrap();
    open.write_all(b"two\n").unwrap();
    desk.wait_for(2).await;
    logs.append("log", "three\n");
    assert_eq!(texts(&desk.wait_for(3).await), ["one", "two", "three"]);
    desk.stopping.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn stream_that_appears_later_is_read_from_its_start_whatever_initial_tail_says() {
    let mut logs = Logs::new();
    logs.settings = "file_match = '(?P<Site>\\w+)\\.log'\ndifferentiator = ['Site']\n\
                     initial_tail = true\n"
        .to_owned();
    logs.append("a.log", "old\n");
    let desk = Desk::new("logs");
    let running = logs.follow(&desk);
    while desk.context().last_positions().is_empty() {
        tokio::task::yield_now().await;
    }
    logs.append("a.log", "new\n");
    desk.wait_for(1).await;
    logs.append("b.log", "first\n");
    desk.wait_for(2).await;
    assert_eq!((desk.lines("a"), desk.lines("b")), (vec!["new".into()], vec!["first".into()]));
    desk.stopping.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn place_is_found_again_after_rotation_while_the_engine_was_down() {
    let logs = Logs::new();
    logs.append("log", "one\ntwo\n");
    let desk = Desk::new("logs");
    logs.read_all(&desk).await;
    // Renamed, compressed, and grown before that.
    logs.append("log", "three\n");
    logs.rename("log", "log.1");
    logs.compress("log.1");
    logs.append("log", "four\n");
    logs.read_all(&desk).await;
    assert_eq!(desk.lines("logs"), ["one", "two", "three", "four"]);
    // Copied and truncated.
    logs.append("log", "five\n");
    std::fs::copy(logs.path("log"), logs.path("log.0")).unwrap();
    File::create(logs.path("log")).unwrap();
    logs.append("log", "six\n");
    logs.read_all(&desk).await;
    assert_eq!(desk.lines("logs")[4..], ["five", "six"]);
}

#[tokio::test]
async fn file_made_anew_with_the_same_inode_is_read_from_its_start() {
    let logs = Logs::new();
    logs.append("log", "one\ntwo\n");
    let desk = Desk::new("logs");
    logs.read_all(&desk).await;
    // Rewriting in place keeps the inode, as a file system that hands it out again would.
    std::fs::write(logs.path("log"), "three\nfour, longer than before\n").unwrap();
    logs.read_all(&desk).await;
    assert_eq!(desk.lines("logs")[2..], ["three", "four, longer than before"]);
}

#[tokio::test]
async fn damaged_compressed_file_gives_what_it_has_and_holds_up_nothing() {
    let logs = Logs::new();
    let mut text = String::new();
    for number in 0..20_000 {
        text.push_str(&format!("line {number}\n"));
    }
    logs.append("log.1", &text);
    logs.compress("log.1");
    let path = logs.path("log.1.gz");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    logs.append("log", "after\n");
    let desk = Desk::new("logs");
    logs.read_all(&desk).await;
    let lines = desk.lines("logs");
    assert_eq!(lines[0], "line 0");
    assert_eq!(lines.last().unwrap(), "after");
    assert!(lines.len() > 1_000);
}

#[tokio::test]
async fn journal_of_heka_says_where_to_go_on() {
    for length in [3, 900] {
        let mut logs = Logs::new();
        let journals = tempfile::tempdir().unwrap();
        logs.settings.push_str(&format!("journal_directory = '{}'\n", journals.path().display()));
        let read = format!("{}\n", "x".repeat(length));
        let hash = tail::Tail::of(read.as_bytes()).heka_hashes()[0].clone();
        std::fs::write(
            journals.path().join("logs"),
            format!(r#"{{"seek":{},"file_name":"log","last_hash":"{hash}"}}"#, read.len()),
        )
        .unwrap();
        logs.append("log.1", &format!("{read}two\n"));
        logs.append("log", "three\n");
        let desk = Desk::new("logs");
        logs.read_all(&desk).await;
        assert_eq!(desk.lines("logs"), ["two", "three"], "{length}");
    }
}

#[test]
fn streams_are_listed_without_reading_them() {
    let logs = Logs::new();
    logs.append("log", "one\n");
    logs.append("log.1", "older\n");
    let text = format!("{}log_directory = '{}'", logs.settings, logs.folder.path().display());
    let settings = toml::Deserializer::parse(&text).unwrap();
    let found = streams("logs", settings, System::new().wall()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, "logs");
    let names: Vec<_> = found[0]
        .files
        .iter()
        .map(|file| file.path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["log.1", "log"]);
    assert!(!found[0].files[0].is_expired);
}

/// What may happen to a log, and to the engine.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// So many lines are written; the last one in two halves.
    Write(u8),
    /// `log` becomes `log.1` and so on, and begins anew.
    Rotate,
    /// As `Rotate`, with `log` copied and truncated.
    CopyTruncate,
    /// The newest rotated file that is not compressed yet is.
    Compress,
    /// So many steps are done.
    Step(u8),
    /// The files are looked at.
    Scan,
    /// The engine starts again from its last position.
    Restart,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (1..6_u8).prop_map(Deed::Write),
        1 => Just(Deed::Rotate),
        1 => Just(Deed::CopyTruncate),
        1 => Just(Deed::Compress),
        4 => (1..4_u8).prop_map(Deed::Step),
        2 => Just(Deed::Scan),
        1 => Just(Deed::Restart),
    ];
    proptest::collection::vec(deed, 1..60)
}

/// A log, a follower, and what it has given so far.
struct Model {
    logs: Logs,
    layout: Layout,
    follower: Follower,
    files: scan::Listing,
    /// Where the journal says reading stopped.
    last: Option<SourcePosition>,
    carry: Vec<u8>,
    lines: Vec<String>,
    written: usize,
    half: Option<String>,
    time: u64,
}

impl Model {
    fn new() -> Model {
        let logs = Logs::new();
        let layout = Layout::new(&logs.input().settings).unwrap();
        let mut model = Model {
            logs,
            layout,
            follower: Follower::new(OPTIONS, Start::Oldest),
            files: Arc::from([]),
            last: None,
            carry: Vec::new(),
            lines: Vec::new(),
            written: 0,
            half: None,
            time: 1_000,
        };
        model.scan();
        model
    }

    /// Sets the time of a file, as the clock of files may be coarse.
    fn touch(&mut self, name: &str) {
        self.time += 1;
        let file = OpenOptions::new().append(true).open(self.logs.path(name)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.time);
        file.set_modified(time).unwrap();
    }

    fn write(&mut self, count: u8) {
        let mut text = self.half.take().unwrap_or_default();
        for _ in 0..count {
            text.push_str(&format!("line {}\n", self.written));
            self.written += 1;
        }
        let next = format!("line {}\n", self.written);
        self.written += 1;
        let (start, end) = next.split_at(3);
        text.push_str(start);
        self.half = Some(end.to_owned());
        self.logs.append("log", &text);
        self.touch("log");
    }

    /// Whoever rotates a log ends its last line first.
    fn finish_line(&mut self) {
        if let Some(half) = self.half.take() {
            self.logs.append("log", &half);
            self.touch("log");
        }
    }

    fn rotate(&mut self, by_copy: bool) {
        if !self.logs.path("log").exists() {
            return;
        }
        self.finish_line();
        for number in (1..20).rev() {
            for end in ["", ".gz"] {
                let from = format!("log.{number}{end}");
                if self.logs.path(&from).exists() {
                    self.logs.rename(&from, &format!("log.{}{end}", number + 1));
                }
            }
        }
        if by_copy {
            std::fs::copy(self.logs.path("log"), self.logs.path("log.1")).unwrap();
            self.touch("log.1");
            File::create(self.logs.path("log")).unwrap();
            self.touch("log");
        } else {
            self.logs.rename("log", "log.1");
        }
    }

    fn compress(&self) {
        let plain = (1..20).map(|number| format!("log.{number}"));
        if let Some(name) = plain.into_iter().find(|name| self.logs.path(name).exists()) {
            self.logs.compress(&name);
        }
    }

    fn scan(&mut self) {
        let mut scan = scan::scan(self.logs.folder.path(), &self.layout, &|_| {});
        self.files = scan.streams.remove("").unwrap_or_else(|| Arc::from([]));
    }

    /// Does one step; says whether it gave something or wants to go on.
    fn step(&mut self) -> bool {
        let now = i64::try_from(self.time).unwrap() * 1_000_000_000;
        match self.follower.step(&self.files, now).unwrap() {
            Step::Bytes { position, bytes, is_elsewhere } => {
                if is_elsewhere && !self.carry.is_empty() {
                    let rest = std::mem::take(&mut self.carry);
                    self.lines.push(String::from_utf8(rest).unwrap());
                }
                let mut offset = position.offset - self.carry.len() as u64;
                self.carry.extend_from_slice(&bytes);
                while let Some(end) = self.carry.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.carry.drain(..=end).collect();
                    offset += line.len() as u64;
                    self.lines.push(String::from_utf8(line).unwrap().trim_end().to_owned());
                }
                self.last = Some(SourcePosition { offset, ..position });
                true
            }
            Step::Scan => {
                self.scan();
                true
            }
            Step::Wait(_) | Step::Done => false,
        }
    }

    fn restart(&mut self) {
        self.carry.clear();
        self.scan();
        let start = match &self.last {
            Some(last) => Start::Place(Place::of(last).unwrap(), last.offset),
            None => Start::Oldest,
        };
        self.follower = Follower::new(OPTIONS, start);
    }
}

const OPTIONS: Options = Options { quiet: Duration::ZERO, oldest: i64::MAX, until_done: false };

fn check(deeds: &[Deed]) {
    let mut model = Model::new();
    for deed in deeds {
        match deed {
            Deed::Write(count) => model.write(*count),
            Deed::Rotate => model.rotate(false),
            Deed::CopyTruncate => model.rotate(true),
            Deed::Compress => model.compress(),
            Deed::Step(count) => {
                for _ in 0..*count {
                    model.step();
                }
            }
            Deed::Scan => model.scan(),
            Deed::Restart => model.restart(),
        }
    }
    if model.logs.path("log").exists() {
        model.finish_line();
    }
    model.scan();
    while model.step() {}
    let expected: Vec<_> = (0..model.written).map(|number| format!("line {number}")).collect();
    assert_eq!(model.lines, expected, "{deeds:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_comes_once_and_in_order(deeds in deeds()) {
        check(&deeds);
    }
}
