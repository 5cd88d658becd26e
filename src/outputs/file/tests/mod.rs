//! Tests of the file output.

mod crash;

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::outputs::testing;
use crate::stdx::clock::Manual;

/// What the pipeline does with an output: after a failure it makes another and sends again all that
/// is not certain.
struct Pipeline {
    settings: String,
    output: FileOutput,
    cx: OutputContext,
    _base_dir: tempfile::TempDir,
    held: Vec<String>,
    retries: usize,
}

impl Pipeline {
    fn new(settings: &str) -> Pipeline {
        let base_dir = tempfile::tempdir().unwrap();
        let mut cx = testing::context("file");
        cx.engine.base_dir = base_dir.path().to_owned();
        Pipeline {
            settings: settings.to_owned(),
            output: toml::from_str(settings).unwrap(),
            cx,
            _base_dir: base_dir,
            held: Vec::new(),
            retries: 0,
        }
    }

    async fn start(settings: &str) -> Pipeline {
        let mut pipeline = Pipeline::new(settings);
        pipeline.output.open(&pipeline.cx).await.unwrap();
        pipeline
    }

    /// Sends a load; where something fails `repair`s the world and sends all again.
    async fn send(&mut self, text: &str, repair: &impl Fn()) {
        self.held.push(text.to_owned());
        let mut load = testing::lines(text);
        match self.output.send(&mut load).await {
            Ok(Sent::Done) => self.held.clear(),
            Ok(Sent::Held) => {}
            Err(failure) => {
                assert_eq!(load.rest(), text.as_bytes(), "a load that fails stays as it was");
                self.again(failure, repair).await;
            }
        }
    }

    async fn flush(&mut self, repair: &impl Fn()) {
        match self.output.flush().await {
            Ok(()) => self.held.clear(),
            Err(failure) => self.again(failure, repair).await,
        }
    }

    async fn reopen(&mut self, repair: &impl Fn()) {
        match self.output.reopen().await {
            // Files are synced before they are closed.
            Ok(()) => self.held.clear(),
            Err(failure) => self.again(failure, repair).await,
        }
    }

    async fn again(&mut self, failure: Failure, repair: &impl Fn()) {
        assert!(matches!(failure, Failure::Retry(_)), "{failure:?}");
        self.output.close().await;
        self.retries += 1;
        repair();
        self.output = toml::from_str(&self.settings).unwrap();
        self.output.open(&self.cx).await.unwrap();
        for text in std::mem::take(&mut self.held) {
            Box::pin(self.send(&text, repair)).await;
        }
        Box::pin(self.flush(repair)).await;
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[tokio::test]
async fn records_are_appended_and_held_until_the_flush() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/out.log");
    let mut pipeline = Pipeline::start(&format!("path = '{}'\nperm = '600'", path.display())).await;
    pipeline.send("one\ntwo\n", &|| ()).await;
    pipeline.send("three\n", &|| ()).await;
    assert_eq!(pipeline.held.len(), 2);
    assert_eq!(read(&path), "one\ntwo\nthree\n");
    pipeline.flush(&|| ()).await;
    assert_eq!((pipeline.held.len(), pipeline.retries), (0, 0));
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn flush_count_syncs_at_once_where_it_decides() {
    let folder = tempfile::tempdir().unwrap();
    for (settings, held) in [
        ("flush_count = 3\nflush_operator = 'OR'", 0),
        ("flush_count = 3\nflush_interval = 0", 0),
        ("flush_count = 4\nflush_operator = 'OR'", 2),
        ("flush_count = 3", 2),
    ] {
        let path = folder.path().join("out.log");
        let mut pipeline =
            Pipeline::start(&format!("path = '{}'\n{settings}", path.display())).await;
        pipeline.send("one\ntwo\n", &|| ()).await;
        pipeline.send("three\n", &|| ()).await;
        assert_eq!(pipeline.held.len(), held, "{settings}");
    }
}

#[tokio::test]
async fn a_load_whose_flush_fails_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.log");
    let mut pipeline =
        Pipeline::start(&format!("path = '{}'\nflush_interval = 0", path.display())).await;
    std::fs::remove_file(&path).unwrap();
    pipeline.send("one\n", &|| ()).await;
    assert_eq!((read(&path), pipeline.retries), ("one\n".to_owned(), 1));
    assert!(pipeline.held.is_empty());
}

#[tokio::test]
async fn a_flush_behind_a_write_that_was_cut_off_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.log");
    let mut pipeline = Pipeline::start(&format!("path = '{}'", path.display())).await;
    pipeline.send("one\n", &|| ()).await;
    // A stop lets go of a write in the middle, and of the file with it.
    pipeline.output.target = None;
    assert!(matches!(pipeline.output.flush().await, Err(Failure::Retry(_))));
}

#[tokio::test]
async fn a_file_is_named_after_the_start_of_its_period() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        format!("path = '{}/%Y-%m-%d_%H:%M'\nrotation_interval = 4", folder.path().display());
    let clock = Arc::new(Manual::at(1_416_840_893_000_000_000));
    let mut pipeline = Pipeline::new(&settings);
    pipeline.output.rotation.as_mut().unwrap().with_clock(clock.clone());
    pipeline.output.open(&pipeline.cx).await.unwrap();
    pipeline.send("before\n", &|| ()).await;
    clock.advance(Duration::from_hours(1));
    pipeline.send("still\n", &|| ()).await;
    clock.advance(Duration::from_hours(1));
    pipeline.send("after\n", &|| ()).await;
    assert_eq!(read(&folder.path().join("2014-11-24_12:00")), "before\nstill\n");
    assert_eq!(read(&folder.path().join("2014-11-24_16:00")), "after\n");
}

#[tokio::test]
async fn reopening_follows_a_file_that_was_moved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.log");
    let moved = folder.path().join("out.log.1");
    let mut pipeline = Pipeline::start(&format!("path = '{}'", path.display())).await;
    pipeline.send("one\n", &|| ()).await;
    std::fs::rename(&path, &moved).unwrap();
    pipeline.send("two\n", &|| ()).await;
    pipeline.reopen(&|| ()).await;
    pipeline.send("three\n", &|| ()).await;
    assert_eq!((read(&moved), read(&path)), ("one\ntwo\n".to_owned(), "three\n".to_owned()));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (settings, expected) in [
        ("path = 'a'\nrotation_interval = 2", "every 2 hours is not possible"),
        ("path = 'a'\nrotation_interval = 24", "needs a `path` with the time in it"),
        ("path = 'a%!'\nrotation_interval = 24", "cannot read `path`"),
        ("path = 'a'\nperm = '9'", "`9` are no permissions"),
        ("path = 'a'\nflush_operator = 'XOR'", "unknown variant `XOR`"),
        ("path = 'a'\nflush_interva = 1", "unknown field `flush_interva`"),
    ] {
        let error = toml::from_str::<FileOutput>(settings).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

fn target(path: &Path) -> Target {
    let place = Place { path: path.to_owned(), file_mode: 0o644, folder_mode: 0o700 };
    Target::open(&place, None).unwrap()
}

#[test]
fn what_is_not_certain_is_taken_back_unless_a_stranger_writes_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.log");
    let mut target = target(&path);
    target.append(b"one\n").unwrap();
    let sync = target.sync();
    target.append(b"two\n").unwrap();
    sync.run(1).unwrap();
    target.settle(sync.end);
    target.take_back();
    assert_eq!(read(&path), "one\n");
    target.append(b"two\n").unwrap();
    std::fs::write(&path, "one\ntwo\nstranger\n").unwrap();
    target.take_back();
    assert_eq!(read(&path), "one\ntwo\nstranger\n");
}

/// Makes "one" certain with entry 5 and writes "two" behind it; then comes a kill, and `change`.
/// Gives what the next engine finds in the file, and where it goes on.
async fn killed(change: impl FnOnce(&Path, &mut OutputContext)) -> (String, Option<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.log");
    let mut pipeline = Pipeline::new(&format!("path = '{}'", path.display()));
    pipeline.output.open(&pipeline.cx).await.unwrap();
    assert_eq!(pipeline.output.resumes_at(), None);
    let mut load = Load::new(testing::lines("one\n").encoded, 5);
    pipeline.output.send(&mut load).await.unwrap();
    pipeline.output.flush().await.unwrap();
    let mut load = Load::new(testing::lines("two\n").encoded, 6);
    pipeline.output.send(&mut load).await.unwrap();
    // The old output is left as a kill leaves it: nothing is closed.
    let old = std::mem::replace(&mut pipeline.output, toml::from_str(&pipeline.settings).unwrap());
    change(&path, &mut pipeline.cx);
    pipeline.output.open(&pipeline.cx).await.unwrap();
    drop(old);
    (read(&path), pipeline.output.resumes_at())
}

fn add(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

#[tokio::test]
async fn what_a_kill_leaves_is_cut_off_where_it_is_ours() {
    assert_eq!(killed(|_, _| ()).await, ("one\n".to_owned(), Some(5)));
    let torn = |path: &Path, _: &mut OutputContext| {
        std::fs::File::options().write(true).open(path).unwrap().set_len(6).unwrap();
    };
    assert_eq!(killed(torn).await, ("one\n".to_owned(), Some(5)));
    let strangers = |path: &Path, _: &mut OutputContext| add(path, "stranger\n");
    assert_eq!(killed(strangers).await, ("one\ntwo\nstranger\n".to_owned(), Some(5)));
    let rotated = |path: &Path, _: &mut OutputContext| {
        std::fs::rename(path, path.with_extension("1")).unwrap();
    };
    assert_eq!(killed(rotated).await, (String::new(), Some(5)));
    let emptied = |path: &Path, _: &mut OutputContext| std::fs::write(path, "").unwrap();
    assert_eq!(killed(emptied).await, (String::new(), Some(5)));
    let elsewhere = |_: &Path, cx: &mut OutputContext| cx.journal = Some([8; 16]);
    assert_eq!(killed(elsewhere).await, ("one\ntwo\n".to_owned(), None));
    let in_memory = |path: &Path, cx: &mut OutputContext| {
        cx.journal = None;
        torn(path, cx);
    };
    assert_eq!(killed(in_memory).await, ("one\n".to_owned(), None), "half a record");
    let shorter = |path: &Path, _: &mut OutputContext| {
        std::fs::File::options().write(true).open(path).unwrap().set_len(2).unwrap();
    };
    assert_eq!(killed(shorter).await, ("on".to_owned(), Some(5)));
}

#[tokio::test]
async fn what_a_power_cut_leaves_is_cut_off_unless_others_have_written_since() {
    // The note is the one of the last sync, the file has grown by what came after it.
    let cut = |path: &Path, cx: &mut OutputContext| {
        add(path, "\0\0\0\0th");
        let note = cx.engine.base_dir.join("outputs");
        let note = std::fs::read_dir(note).unwrap().next().unwrap().unwrap().path();
        let text = read(&note);
        let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
        (words[3], words[4], words[7]) = (words[2], words[2], "00000001");
        let path = words.pop().unwrap();
        let line = format!("{:<191}\n{path}\n", words.join(" "));
        std::fs::write(&note, line).unwrap();
    };
    let before = |path: &Path| {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(9)).unwrap();
    };
    let cut_off = killed(|path, cx| {
        cut(path, cx);
        before(path);
    });
    assert_eq!(cut_off.await, ("one\n".to_owned(), Some(5)));
    let since = killed(|path, cx| cut(path, cx));
    assert_eq!(since.await, ("one\ntwo\n\0\0\0\0th".to_owned(), Some(5)), "by others");
    let elsewhere = killed(|path, cx| {
        cut(path, cx);
        before(path);
        cx.journal = None;
    });
    assert_eq!(elsewhere.await, ("one\ntwo\n\0\0\0\0th".to_owned(), None), "nothing comes again");
}

#[tokio::test]
async fn names_that_look_alike_have_notes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for (name, entry) in [("a b", 5), ("a_b", 6)] {
        let note = Note::open(folder.path(), name, Some([7; 16])).unwrap();
        assert_eq!(note.entry(), None);
        note.settle(0, entry, 0).unwrap();
    }
}

#[tokio::test]
async fn a_sync_runs_beside_the_writes_and_says_how_far_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.log");
    let settings = format!("path = '{}'\nflush_interval = 1", path.display());
    let mut pipeline = Pipeline::start(&settings).await;
    let mut load = Load::new(testing::lines("one\n").encoded, 3);
    assert_eq!(pipeline.output.send(&mut load).await.unwrap(), Sent::Held);
    assert_eq!(pipeline.output.settled().await.unwrap(), 3);
    let mut large = Load::new(testing::lines(&"x\n".repeat(MUCH)).encoded, 4);
    assert_eq!(pipeline.output.send(&mut large).await.unwrap(), Sent::Held);
    assert!(pipeline.output.syncing.is_some());
    let mut load = Load::new(testing::lines("two\n").encoded, 5);
    assert_eq!(pipeline.output.send(&mut load).await.unwrap(), Sent::Held);
    assert_eq!(pipeline.output.settled().await.unwrap(), 4);
    assert_eq!(pipeline.output.settled().await.unwrap(), 5);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    Flush,
    /// The path leads to a full device until the first failure.
    Fill,
    /// The folder is removed, with what is in it.
    Remove,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1usize..5).prop_map(Step::Send),
        2 => Just(Step::Flush),
        1 => Just(Step::Fill),
        1 => Just(Step::Remove),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The path is a link that leads to a file or to a full device. Lines that were certain when
    /// their file was removed are gone with it; all others are there, once and in order.
    #[test]
    fn every_line_is_delivered_whatever_fails(steps in prop::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("logs/out.log");
        let file = folder.path().join("file.log");
        let lead = |to: &Path| {
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(to, &link).unwrap();
        };
        lead(&file);
        run(async {
            let mut pipeline = Pipeline::start(&format!("path = '{}'", link.display())).await;
            let mut certain = Vec::new();
            let mut line = 0;
            for step in steps {
                match step {
                    Step::Send(lines) => {
                        let text = (0..lines).map(|n| format!("{}\n", line + n)).collect::<String>();
                        line += lines;
                        certain.extend(text.lines().map(str::to_owned));
                        pipeline.send(&text, &|| lead(&file)).await;
                    }
                    Step::Flush => pipeline.flush(&|| lead(&file)).await,
                    Step::Fill => {
                        lead(Path::new("/dev/full"));
                        pipeline.reopen(&|| lead(&file)).await;
                    }
                    Step::Remove => {
                        let _ = std::fs::remove_dir_all(link.parent().unwrap());
                        let _ = std::fs::remove_file(&file);
                        certain.retain(|line| {
                            pipeline.held.iter().any(|text| text.lines().any(|held| held == line))
                        });
                    }
                    Step::Reopen => {
                        lead(&file);
                        pipeline.flush(&|| lead(&file)).await;
                        pipeline.reopen(&|| lead(&file)).await;
                    }
                }
            }
            lead(&file);
            pipeline.flush(&|| lead(&file)).await;
            pipeline.output.close().await;
            let found = read(&file);
            let found = found.lines().collect::<Vec<_>>();
            prop_assert_eq!(found, certain);
            Ok(())
        })?;
    }
}

#[test]
fn what_cannot_be_noted_is_not_certain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let place = Place { path, file_mode: 0o644, folder_mode: 0o700 };
    let note = Arc::new(Note::open(folder.path(), "out", Some([1; 16])).unwrap());
    let mut target = Target::open(&place, Some(note.clone())).unwrap();
    target.append(b"one\n").unwrap();
    target.sync().run(1).unwrap();
    target.append(b"two\n").unwrap();
    let late = target.sync();
    // Another output of this name has taken the note over.
    note.end();
    assert!(late.run(2).is_err());
    assert!(target.append(b"three\n").is_err());
    assert!(Target::open(&place, Some(note)).is_err());
    let note = Note::open(folder.path(), "out", Some([1; 16])).unwrap();
    assert_eq!(note.entry(), Some(1));
    assert_eq!(read(&place.path), "one\n");
}
