//! A crash at any moment: what the next engine makes of what it finds.

use std::path::PathBuf;

use super::*;

/// An engine that dies; the entry of a load is its number, from 1 on.
struct World {
    folder: tempfile::TempDir,
    settings: String,
    clock: Arc<Manual>,
    output: FileOutput,
    cx: OutputContext,
    /// All loads there ever were.
    loads: Vec<String>,
    /// How many of them have been sent.
    sent: usize,
    /// What somebody else wrote.
    strange: Vec<String>,
}

const START: i64 = 1_416_840_893_000_000_000;

impl World {
    async fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/%d-%H.log");
        let settings = format!("path = '{}'\nrotation_interval = 1", path.display());
        let mut cx = testing::context("file");
        cx.engine.base_dir = folder.path().to_owned();
        let mut world = World {
            folder,
            output: toml::from_str(&settings).unwrap(),
            settings,
            clock: Arc::new(Manual::at(START)),
            cx,
            loads: Vec::new(),
            sent: 0,
            strange: Vec::new(),
        };
        world.start().await;
        world
    }

    async fn start(&mut self) {
        self.output = toml::from_str(&self.settings).unwrap();
        self.output.rotation.as_mut().unwrap().with_clock(self.clock.clone());
        self.output.open(&self.cx).await.unwrap();
        self.sent = usize::try_from(self.output.resumes_at().unwrap_or(0)).unwrap();
        while self.sent < self.loads.len() {
            self.send_next().await;
        }
    }

    async fn send_next(&mut self) {
        let encoded = testing::lines(&self.loads[self.sent]).encoded;
        let mut load = Load::new(encoded, self.sent as u64 + 1);
        assert_eq!(self.output.send(&mut load).await.unwrap(), Sent::Held);
        self.sent += 1;
    }

    async fn flush(&mut self) {
        self.output.flush().await.unwrap();
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.folder.path().join("logs")).unwrap();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }

    fn lines(&self) -> Vec<String> {
        let text: String = self.files().iter().map(|file| read(file)).collect();
        text.split_inclusive('\n').map(str::to_owned).collect()
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    Flush,
    /// The next file is due.
    Rotate,
    Hangup,
    Stop,
    Kill,
    /// A kill that leaves the last load cut to so many bytes.
    KillWhileWriting(usize),
    Stranger,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1usize..4).prop_map(Step::Send),
        3 => Just(Step::Flush),
        1 => Just(Step::Rotate),
        1 => Just(Step::Hangup),
        1 => Just(Step::Stop),
        2 => Just(Step::Kill),
        2 => (0usize..40).prop_map(Step::KillWhileWriting),
    ]
}

async fn play(steps: &[Step]) -> World {
    let mut world = World::new().await;
    let mut line = 0;
    for &step in steps {
        match step {
            Step::Send(lines) => {
                let text = (line..line + lines).map(|number| format!("line {number}\n"));
                world.loads.push(text.collect());
                line += lines;
                world.send_next().await;
            }
            Step::Flush => world.flush().await,
            Step::Rotate => world.clock.advance(Duration::from_hours(1)),
            Step::Hangup => {
                world.output.reopen().await.unwrap();
                world.flush().await;
            }
            Step::Stop => {
                world.flush().await;
                world.output.close().await;
                world.start().await;
            }
            Step::Kill => world.start().await,
            Step::KillWhileWriting(left) => {
                world.loads.push(format!("line {line}\n"));
                line += 1;
                world.send_next().await;
                let file = world.files().pop().unwrap();
                let length = std::fs::metadata(&file).unwrap().len();
                let written = world.loads.last().unwrap().len();
                let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
                file.set_len(length - (written - left.min(written)) as u64).unwrap();
                world.start().await;
            }
            Step::Stranger => {
                let file = world.files().pop().unwrap();
                let text = format!("stranger {}\n", world.strange.len());
                let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
                std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
                world.strange.push(text);
            }
        }
    }
    world.flush().await;
    world.output.close().await;
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_line_is_torn_lost_or_doubled(steps in prop::collection::vec(step(), 1..40)) {
        let world = run(play(&steps));
        let expected: String = world.loads.concat();
        prop_assert_eq!(world.lines().concat(), expected);
    }

    #[test]
    fn with_a_stranger_in_the_file_every_line_is_there(
        steps in prop::collection::vec(prop_oneof![5 => step(), 1 => Just(Step::Stranger)], 1..40),
    ) {
        let world = run(play(&steps));
        let lines = world.lines();
        let ours = world.loads.concat();
        for line in ours.split_inclusive('\n') {
            prop_assert!(lines.iter().any(|found| found == line), "{} is missing", line);
        }
        for line in &world.strange {
            let count = lines.iter().filter(|found| *found == line).count();
            prop_assert_eq!(count, 1, "{} is there {} times", line, count);
        }
        for line in &lines {
            let is_whole = world.strange.contains(line) || ours.split_inclusive('\n').any(|it| it == line);
            prop_assert!(is_whole, "{:?} is torn", line);
        }
    }
}
