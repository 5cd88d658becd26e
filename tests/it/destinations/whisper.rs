//! Points in files of Whisper, read back by Graphite's own `whisper-fetch`.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use libtest_mimic::Trial;

use crate::harness::Place;
use crate::suite::test_with;

pub(super) fn trials() -> Vec<Trial> {
    vec![test_with(
        &["whisper-fetch", "whisper-info"],
        "destinations::whisper_reads_what_is_written",
        whisper_reads,
    )]
}

fn whisper_reads() -> anyhow::Result<()> {
    let place = Place::new(
        "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n\
         [out]\ntype = 'WhisperOutput'\nmessage_matcher = \"Type == 'lines'\"\n\
         base_path = 'DIR/whisper'\ndefault_agg_method = 2\n\
         default_archive_info = [[0, 60, 1440], [0, 300, 2016]]\n",
    )?;
    let mut engine = place.run(&[])?;
    let mut stream = TcpStream::connect(engine.address("lines")?)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    // A whole span of the coarser archive, so that all of it is summed up.
    let start = now / 300 * 300 - 600;
    for number in 0..5 {
        writeln!(stream, "heka.test.sum {} {}", number + 1, start + 60 * number)?;
    }
    let file = place.path("whisper/heka/test/sum.wsp");
    let fetch = |from: u64, until: u64| -> Option<String> {
        let mut command = Command::new("whisper-fetch");
        command.arg(format!("--from={from}")).arg(format!("--until={until}")).arg(&file);
        Some(String::from_utf8_lossy(&command.output().ok()?.stdout).into_owned())
    };
    engine.wait_for("the points", |_| {
        let text = fetch(start - 1, start + 300)?;
        let holds =
            |number: u64| text.contains(&format!("{}\t{}.000000", start + 60 * number, number + 1));
        (0..5).all(holds).then_some(())
    })?;
    // Further back than a day only the second archive is asked.
    let text = fetch(now - 2 * 86_400, now).unwrap_or_default();
    anyhow::ensure!(text.contains(&format!("{start}\t15.000000")), "{text}");
    let info = Command::new("whisper-info").arg(&file).output()?;
    let info = String::from_utf8_lossy(&info.stdout).into_owned();
    anyhow::ensure!(info.contains("aggregationMethod: sum"), "{info}");
    engine.stop()?.expect_code(0)?;
    Ok(())
}
