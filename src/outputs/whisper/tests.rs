//! Tests of the files.

use super::*;
use crate::outputs::testing;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn output(folder: &Path, more: &str) -> WhisperOutput {
    toml::from_str(&format!("base_path = '{}'\n{more}", folder.display())).unwrap()
}

fn read(folder: &Path, name: &str, time: u64) -> Option<f64> {
    let file = std::fs::File::open(folder.join(name)).unwrap();
    Archive::open(file).unwrap().value(0, time).unwrap()
}

#[tokio::test]
async fn points_go_into_files_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut output = output(folder.path(), "folder_perm = '755'");
    output.open(&testing::context("whisper")).await.unwrap();
    let minute = now() / 60 * 60;
    let mut load = testing::load(&[
        format!("a.b 1.5 {minute}\na.c 2 {}\n", minute - 60).as_bytes(),
        b"bad\n",
        format!("a.b 7 {}\n../x.y 3 {minute}", minute - 60).as_bytes(),
        b"a.b 1 1000\n",
    ]);
    let mut reasons = Vec::new();
    for _ in 0..2 {
        let Err(Failure::Reject(error)) = output.send(&mut load).await else { panic!() };
        reasons.push(error.to_string());
        load.advance(1);
    }
    assert_eq!(output.send(&mut load).await.unwrap(), Sent::Done);
    assert_eq!(
        reasons,
        [
            "`bad` is no line of carbon, expected `name value time`",
            "no archive of a.b reaches to the time 1000"
        ]
    );
    assert_eq!(read(folder.path(), "a/b.wsp", minute), Some(1.5));
    assert_eq!(read(folder.path(), "a/b.wsp", minute - 60), Some(7.0));
    assert_eq!(read(folder.path(), "a/c.wsp", minute - 60), Some(2.0));
    assert_eq!(read(folder.path(), "_x/y.wsp", minute), Some(3.0));
}

#[tokio::test]
async fn a_damaged_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.wsp"), "not one").unwrap();
    let mut output = output(folder.path(), "");
    let line = format!("a 1 {}\n", now());
    let Err(Failure::Retry(error)) = output.send(&mut testing::lines(&line)).await else {
        panic!()
    };
    assert!(format!("{error:#}").contains("a.wsp is damaged: it has no header"), "{error:#}");
    assert_eq!(std::fs::read(folder.path().join("a.wsp")).unwrap(), b"not one");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (settings, expected) in [
        ("default_agg_method = 9", "expected 1 to 5"),
        ("folder_perm = '999'", "`999` are no permissions"),
        ("default_archive_info = [[0, 60, 10], [0, 60, 20]]", "two archives have 60 s a point"),
        ("default_x_files_factor = 2.0", "not from 0 to 1"),
    ] {
        let error = toml::from_str::<WhisperOutput>(settings).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
