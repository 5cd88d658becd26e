//! One stuck output leaves the others alone, and gets everything once it moves again. Beside it, a
//! script that is parked and an input that is silent, the others keep their speed.
//!
//! `HEKA_ROUNDS=5 cargo test --release --test it stuck` measures that; each round copies and counts a
//! log beside each of them.

use std::io::Read;
use std::net::TcpListener;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use libtest_mimic::Trial;
use nix::sys::stat::Mode;

use super::numbered_lines;
use crate::harness::Place;
use crate::harness::moments::rounds;
use crate::suite::test;

/// More than sockets and queues hold.
const LINES: usize = 400_000;

pub(crate) fn trials() -> Vec<Trial> {
    let ratio = test("stuck::the_others_keep_their_speed", others_keep_their_speed);
    // A machine that is busy says nothing about speed.
    let is_wanted = std::env::var_os("HEKA_ROUNDS").is_some();
    vec![
        test("stuck::an_output_that_never_reads_lags_alone", lags_alone),
        if is_wanted { ratio } else { ratio.with_ignored_flag(true).with_kind("no HEKA_ROUNDS") },
    ]
}

/// What there is beside what is measured.
#[derive(Clone, Copy, Debug)]
enum Beside {
    Nothing,
    StuckOutput,
    ParkedScript,
    SilentInput,
}

const BESIDE: [Beside; 4] =
    [Beside::Nothing, Beside::StuckOutput, Beside::ParkedScript, Beside::SilentInput];

/// The shortest time beside each of them is to be within 5 % of that beside nothing; the rounds take
/// turns, so that what else the machine does meets all.
fn others_keep_their_speed() -> anyhow::Result<()> {
    let rounds = rounds(3)?;
    let log: String =
        (0..3 * LINES).map(|number| format!("line {number} of the log {number:0>80}\n")).collect();
    let mut shortest = [Duration::MAX; BESIDE.len()];
    for _ in 0..rounds {
        for (shortest, beside) in shortest.iter_mut().zip(BESIDE) {
            *shortest = (*shortest).min(copied(&log, beside)?);
        }
    }
    let alone = shortest[0].as_secs_f64();
    let ratios = shortest.map(|time| alone / time.as_secs_f64());
    println!("{} lines beside {BESIDE:?}: {shortest:?}, speeds {ratios:.3?}", 3 * LINES);
    anyhow::ensure!(ratios.iter().all(|ratio| *ratio >= 0.95), "{shortest:?}: {ratios:.3?}");
    Ok(())
}

/// How long it takes to copy and to count the last three quarters of `log`.
fn copied(log: &str, beside: Beside) -> anyhow::Result<Duration> {
    let peer = TcpListener::bind("127.0.0.1:0")?;
    let other = match beside {
        Beside::Nothing => String::new(),
        Beside::StuckOutput => format!(
            "[stuck]\ntype = 'TcpOutput'\naddress = '{}'\nmessage_matcher = 'TRUE'\n\
             encoder = 'PayloadEncoder'\nuse_framing = false\n",
            peer.local_addr()?
        ),
        Beside::ParkedScript => "[parked]\ntype = 'SandboxFilter'\nfilename = 'DIR/parked.lua'\n\
            message_matcher = \"Type == 'logfile'\"\nmodule_directory = 'DIR/modules'\n"
            .to_owned(),
        Beside::SilentInput => "[silent]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n".to_owned(),
    };
    let place = Place::new(&format!(
        "[hekad]\nbase_dir = 'DIR/state'\nstuck_timeout = '300ms'\n\
         [hekad.admin]\naddress = '127.0.0.1:0'\n\
         [lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [PayloadEncoder]\n{other}\
         [count]\ntype = 'SandboxFilter'\nfilename = 'DIR/count.lua'\n\
         message_matcher = \"Type == 'logfile'\"\n\
         [counts]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.sandbox-output'\"\n\
         path = 'DIR/counts'\nencoder = 'PayloadEncoder'\nflush_interval = 10\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'logfile'\"\n\
         path = 'DIR/out'\nencoder = 'PayloadEncoder'\n",
    ))?;
    place.write("count.lua", &COUNT.replace("QUARTER", &(3 * LINES / 4).to_string()))?;
    place.write("parked.lua", PARKED)?;
    std::fs::create_dir(place.path("modules"))?;
    nix::unistd::mkfifo(&place.path("modules/pipe.lua"), Mode::S_IRWXU)?;
    place.write("logs/log", log)?;
    let mut engine = place.run(&[])?;
    let _silent = match beside {
        Beside::SilentInput => Some(TcpStream::connect(engine.address("silent")?)?),
        _ => None,
    };
    let mut wait_until = |share: usize| {
        let length = (log.len() / 4 * share) as u64;
        engine.wait_for("the copy", |_| {
            let out = std::fs::metadata(place.path("out"));
            let is_copied = out.is_ok_and(|out| out.len() >= length);
            (is_copied && place.read("counts").lines().count() >= share).then_some(())
        })
    };
    // First the stuck one fills its buffers, and the parked one is parted from the others.
    wait_until(1)?;
    let begun = Instant::now();
    wait_until(4)?;
    Ok(begun.elapsed())
}

const COUNT: &str = "local count = 0
function process_message()
  count = count + 1
  if count % QUARTER == 0 then inject_payload('txt', 'count', count, '\\n') end
  return 0
end
";

/// Waits at the first message for a module that does not come.
const PARKED: &str = "function process_message() require('p' .. 'ipe') return 0 end\n";

fn lags_alone() -> anyhow::Result<()> {
    let peer = TcpListener::bind("127.0.0.1:0")?;
    let address = peer.local_addr()?;
    let place = Place::new(&format!(
        "[lines]\ntype = 'LogstreamerInput'\nlog_directory = 'DIR/logs'\nfile_match = 'log'\n\
         [PayloadEncoder]\n\
         [stuck]\ntype = 'TcpOutput'\naddress = '{address}'\nmessage_matcher = 'TRUE'\n\
         encoder = 'PayloadEncoder'\nuse_framing = false\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = 'TRUE'\npath = 'DIR/out'\n\
         encoder = 'PayloadEncoder'\n"
    ))?;
    let log = numbered_lines(LINES);
    place.write("logs/log", &log)?;
    let mut engine = place.run(&["--until-done"])?;
    let (mut reader, _) = peer.accept()?;
    // The peer reads nothing: the other output gets to its end all the same.
    engine.wait_for("the other output to be done", |_| {
        std::fs::metadata(place.path("out"))
            .is_ok_and(|out| out.len() == log.len() as u64)
            .then_some(())
    })?;
    let mut received = Vec::new();
    reader.set_read_timeout(Some(Duration::from_secs(30)))?;
    reader.read_to_end(&mut received)?;
    engine.finish()?.expect_code(0)?;
    anyhow::ensure!(received == log.as_bytes(), "{} of {} bytes came", received.len(), log.len());
    Ok(())
}
