use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::plugin::Encoded;
use crate::stdx::clock::Manual;

/// What the pipeline does with an output: sends again what was not sent, or only held.
struct Pipeline {
    output: FileOutput,
    cx: OutputContext,
    held: Vec<String>,
    retries: usize,
}

impl Pipeline {
    fn new(settings: &str) -> Pipeline {
        let output = toml::from_str(settings).unwrap();
        let cx = crate::outputs::testing::context("file");
        Pipeline { output, cx, held: Vec::new(), retries: 0 }
    }

    /// Sends one load, by `repair`ing the world after the first failure.
    async fn send(&mut self, text: &str, repair: impl Fn()) {
        let mut load = Load::new(records(text));
        loop {
            let failure = match self.output.send(&mut load).await {
                Ok(Sent::Done) => return self.held.clear(),
                Ok(Sent::Held) => return self.held.push(text.to_owned()),
                Err(failure) => failure,
            };
            assert!(matches!(failure, Failure::Retry(_)), "{failure:?}");
            assert_eq!(load.rest(), text.as_bytes(), "a load that fails stays as it was");
            self.retries += 1;
            repair();
            self.output.open(&self.cx).await.unwrap();
            self.forget_certain();
        }
    }

    async fn reopen(&mut self) {
        self.output.reopen().await.unwrap();
        self.forget_certain();
    }

    /// What was held is certain when another file was opened and nothing was lost.
    fn forget_certain(&mut self) {
        if self.output.lost.is_none() {
            self.held.clear();
        }
    }

    async fn flush(&mut self, repair: impl Fn()) {
        while self.output.flush().await.is_err() {
            repair();
            self.output.open(&self.cx).await.unwrap();
            for text in std::mem::take(&mut self.held) {
                Box::pin(self.send(&text, &repair)).await;
            }
        }
        self.held.clear();
    }
}

fn records(text: &str) -> Encoded {
    let mut encoded = Encoded::default();
    for line in text.split_inclusive('\n') {
        encoded.bytes.extend_from_slice(line.as_bytes());
        encoded.close_record();
    }
    encoded
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
    let mut pipeline = Pipeline::new(&format!("path = '{}'\nperm = '600'", path.display()));
    pipeline.output.open(&pipeline.cx).await.unwrap();
    pipeline.send("one\ntwo\n", || ()).await;
    pipeline.send("three\n", || ()).await;
    assert_eq!(pipeline.held.len(), 2);
    assert_eq!(read(&path), "one\ntwo\nthree\n");
    pipeline.flush(|| ()).await;
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
        let mut pipeline = Pipeline::new(&format!("path = '{}'\n{settings}", path.display()));
        pipeline.output.open(&pipeline.cx).await.unwrap();
        pipeline.send("one\ntwo\n", || ()).await;
        pipeline.send("three\n", || ()).await;
        assert_eq!(pipeline.held.len(), held, "{settings}");
    }
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
    pipeline.send("before\n", || ()).await;
    clock.advance(Duration::from_secs(3600));
    pipeline.send("still\n", || ()).await;
    clock.advance(Duration::from_secs(3600));
    pipeline.send("after\n", || ()).await;
    assert_eq!(read(&folder.path().join("2014-11-24_12:00")), "before\nstill\n");
    assert_eq!(read(&folder.path().join("2014-11-24_16:00")), "after\n");
}

#[tokio::test]
async fn reopening_follows_a_file_that_was_moved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.log");
    let moved = folder.path().join("out.log.1");
    let mut pipeline = Pipeline::new(&format!("path = '{}'", path.display()));
    pipeline.output.open(&pipeline.cx).await.unwrap();
    pipeline.send("one\n", || ()).await;
    std::fs::rename(&path, &moved).unwrap();
    pipeline.send("two\n", || ()).await;
    pipeline.output.reopen().await.unwrap();
    pipeline.send("three\n", || ()).await;
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

#[test]
fn half_a_record_is_taken_back_and_a_stranger_s_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.log");
    let place = Place { path: path.clone(), file_mode: 0o644, folder_mode: 0o700 };
    let mut target = Target::open(place).unwrap();
    target.append(b"one\n").unwrap();
    std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    target.append(b"tw").unwrap();
    target.take_back(4, 6);
    assert_eq!(read(&path), "one\n");
    target.append(b"tw").unwrap();
    std::fs::write(&path, "one\ntwstranger\n").unwrap();
    target.take_back(4, 6);
    assert_eq!(read(&path), "one\ntwstranger\n");
}

/// Tells whether `text` is the number of one of so many lines, and not two torn ones.
fn is_whole(text: &str, lines: usize) -> bool {
    text.parse::<usize>().is_ok_and(|number| number < lines)
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
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The path is a link that leads to a file or to a full device. Lines that were certain when
    /// their folder was removed are gone with it; all others are there and whole, and where no
    /// file was removed once and in order.
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
        let is_removed = steps.iter().any(|step| matches!(step, Step::Remove));
        run(async {
            let mut pipeline = Pipeline::new(&format!("path = '{}'", link.display()));
            pipeline.output.open(&pipeline.cx).await.unwrap();
            let mut certain = Vec::new();
            let mut line = 0;
            for step in steps {
                match step {
                    Step::Send(lines) => {
                        let text = (0..lines).map(|n| format!("{}\n", line + n)).collect::<String>();
                        line += lines;
                        certain.extend(text.lines().map(str::to_owned));
                        pipeline.send(&text, || lead(&file)).await;
                    }
                    Step::Flush => pipeline.flush(|| lead(&file)).await,
                    Step::Fill => {
                        lead(Path::new("/dev/full"));
                        pipeline.reopen().await;
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
                        pipeline.flush(|| lead(&file)).await;
                        pipeline.reopen().await;
                    }
                }
            }
            lead(&file);
            pipeline.flush(|| lead(&file)).await;
            pipeline.output.close().await;
            let found = read(&file);
            let mut found = found.lines().collect::<Vec<_>>();
            if is_removed {
                found.retain(|found| certain.iter().any(|line| line == found) || !is_whole(found, line));
                found.sort_by_key(|line| line.parse::<usize>().unwrap());
                found.dedup();
            }
            prop_assert_eq!(found, certain);
            Ok(())
        })?;
    }
}
