//! Tests that all splitters share: however the stream comes, the records are the same.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use super::SPLITTERS;
use crate::message::frame;
use crate::message::frame::FrameHeader;
use crate::message::sign::Hash;
use crate::message::sign::Signer;
use crate::metrics::Registry;
use crate::plugin::Cut;
use crate::plugin::Engine;
use crate::plugin::Form;
use crate::plugin::Splitting;

fn engine() -> Engine {
    Engine {
        hostname: Arc::from("host"),
        pid: 1,
        base_dir: PathBuf::new(),
        share_dir: PathBuf::new(),
        max_message_size: 64,
        max_message_loops: 4,
        max_process_inject: 1,
        max_timer_inject: 10,
        memory: Arc::default(),
        metrics: Arc::new(Registry::default()),
    }
}

/// A splitter of the kind `kind`, with these settings.
fn start(kind: &str, settings: &str) -> Box<dyn Splitting> {
    let row = SPLITTERS.iter().find(|row| row.name == kind).unwrap();
    let settings = toml::Deserializer::parse(settings).unwrap();
    (row.read)(settings).unwrap().start(&engine()).unwrap()
}

/// What a splitter makes of a stream.
#[derive(Debug, PartialEq, Eq, Default)]
struct Split {
    records: Vec<(Vec<u8>, Form, Option<String>)>,
    lost: Vec<String>,
}

/// Splits `chunks` as the engine does; the end of the last is the end of the stream.
fn split(splitting: &mut dyn Splitting, chunks: &[&[u8]]) -> Split {
    let mut split = Split::default();
    let mut left: Vec<u8> = Vec::new();
    for (index, chunk) in chunks.iter().enumerate() {
        left.extend_from_slice(chunk);
        let is_end = index + 1 == chunks.len();
        while !left.is_empty() {
            let consumed = match splitting.cut(&left, is_end) {
                Cut::Record { record, consumed, form, signer } => {
                    let signer = signer.map(|number| splitting.signer(number).unwrap().to_owned());
                    split.records.push((left[record].to_vec(), form, signer));
                    consumed
                }
                Cut::More => {
                    assert!(!is_end, "more is wanted at the end");
                    break;
                }
                Cut::Skip { consumed, lost } => {
                    split.lost.extend(lost);
                    consumed
                }
            };
            assert!((1..=left.len()).contains(&consumed));
            left.drain(..consumed);
        }
    }
    split
}

/// Checks that `stream` gives these records, whole, and byte by byte.
pub(super) fn check(kind: &str, settings: &str, stream: &[u8], expected: &[&str]) -> Vec<String> {
    let whole = split(&mut *start(kind, settings), &[stream]);
    let texts = |split: &Split| -> Vec<String> {
        split.records.iter().map(|(record, ..)| record.escape_ascii().to_string()).collect()
    };
    let expected: Vec<String> =
        expected.iter().map(|record| record.as_bytes().escape_ascii().to_string()).collect();
    assert_eq!(texts(&whole), expected, "{kind} {settings:?}");
    if kind != "NullSplitter" {
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(texts(&split(&mut *start(kind, settings), &bytes)), expected, "byte by byte");
    }
    whole.lost
}

#[test]
fn token_ends_each_record_and_stays_on_it() {
    check("TokenSplitter", "", b"one\ntwo\n\nrest", &["one\n", "two\n", "\n", "rest"]);
    check("TokenSplitter", "delimiter = \";\"", b"a;b\n;", &["a;", "b\n;"]);
    check("TokenSplitter", "count = 2", b"1\n2\n3\n", &["1\n2\n", "3\n"]);
}

#[test]
fn token_must_be_one_byte() {
    let row = SPLITTERS.iter().find(|row| row.name == "TokenSplitter").unwrap();
    for wrong in ["delimiter = \"\"", "delimiter = \"ab\"", "delimiter = \"é\"", "count = 0"] {
        let settings = toml::Deserializer::parse(wrong).unwrap();
        assert!((row.read)(settings).is_err(), "{wrong}");
    }
}

#[test]
fn null_takes_each_read_as_it_is() {
    let split = split(&mut *start("NullSplitter", ""), &[b"a\nb", b"c"]);
    let records: Vec<&[u8]> = split.records.iter().map(|(record, ..)| &record[..]).collect();
    assert_eq!(records, [b"a\nb" as &[u8], b"c"]);
}

const KEYS: &str = "[signer.ops_1]\nhmac_key = \"old\"\n[signer.ops_2]\nhmac_key = \"new\"\n";

fn signed(version: u32, hash: Hash, key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Signer::new("ops", version, hash, key).unwrap().put(&mut out, message);
    out
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put(&mut out, message);
    out
}

#[test]
fn frames_are_found_between_damage() {
    let mut stream = b"noise".to_vec();
    stream.extend(framed(b"first"));
    stream.extend(b"\x1e\x02\x08\x05?never");
    stream.extend(framed(b"second"));
    let lost = check("HekaFramingSplitter", "", &stream, &["first", "second"]);
    assert_eq!(lost, ["5 bytes are no frame", "10 bytes are no frame"]);
}

#[test]
fn separators_without_a_frame_are_told_of_once() {
    let mut stream = vec![0x1e; 1000];
    stream.extend(framed(&[b'x'; 50]));
    let lost = check("HekaFramingSplitter", "", &stream, &[&"x".repeat(50)]);
    assert_eq!(lost, ["1000 bytes are no frame"]);
}

#[test]
fn frame_too_large_is_passed_over_whole() {
    // The large message holds a frame, which must not come out.
    let mut large = framed(b"hidden");
    large.resize(100, b'x');
    let mut stream = framed(&large);
    stream.extend(framed(b"next"));
    let lost = check("HekaFramingSplitter", "", &stream, &["next"]);
    assert_eq!(lost, ["message of 100 bytes is larger than max_message_size 64"]);
}

#[test]
fn frame_that_claims_to_be_endless_is_searched_for_the_next() {
    let mut stream = b"\x1e\x06\x08\xff\xff\xff\xff\x7f\x1fjunk".to_vec();
    stream.extend(framed(b"next"));
    let lost = check("HekaFramingSplitter", "", &stream, &["next"]);
    assert_eq!(lost[1], "4 bytes are no frame");
}

#[test]
fn frame_cut_off_at_the_end_is_lost() {
    let stream = framed(b"first");
    let lost = check("HekaFramingSplitter", "", &stream[..8], &[]);
    assert_eq!(lost, ["stream ends after 8 of 10 bytes"]);
}

#[test]
fn signed_frames_pass_with_a_known_key_only() {
    let mut stream = Vec::new();
    for hash in [Hash::Md5, Hash::Sha1, Hash::Sha256] {
        stream.extend(signed(1, hash, b"old", b"one"));
        stream.extend(signed(2, hash, b"new", b"two"));
        stream.extend(signed(2, hash, b"old", b"wrong"));
    }
    stream.extend(signed(3, Hash::Md5, b"new", b"unknown"));
    stream.extend(framed(b"unsigned"));
    let split = split(&mut *start("HekaFramingSplitter", KEYS), &[&stream]);
    let records: Vec<(&[u8], Option<&str>)> =
        split.records.iter().map(|(record, _, signer)| (&record[..], signer.as_deref())).collect();
    let once: [(&[u8], Option<&str>); 2] = [(b"one", Some("ops")), (b"two", Some("ops"))];
    let mut expected = once.repeat(3);
    expected.push((b"unsigned", None));
    assert_eq!(records, expected);
    assert_eq!(split.lost[0], "signature of \"ops\", version 2, is wrong");
    assert_eq!(split.lost[3], "no key is known for signer \"ops\", version 3");
}

#[test]
fn signatures_are_not_looked_at_when_told_so() {
    let stream = signed(9, Hash::Sha1, b"any", b"one");
    check("HekaFramingSplitter", "skip_authentication = true", &stream, &["one"]);
}

#[test]
fn frame_says_what_its_message_is() {
    let mut json = Vec::new();
    let header = FrameHeader { message_length: 2, encoding: 1, ..FrameHeader::default() };
    json.extend(b"\x1e\x04\x08\x02\x10\x01\x1f{}");
    assert!(matches!(frame::step(&json, 64), frame::Step::Frame { header: found, .. }
        if found == header));
    json.extend(framed(b"x"));
    let forms = |settings| -> Vec<Form> {
        let split = split(&mut *start("HekaFramingSplitter", settings), &[&json]);
        split.records.iter().map(|(_, form, _)| *form).collect()
    };
    assert_eq!(forms(""), [Form::Json, Form::Message]);
}

#[test]
fn signer_needs_a_version() {
    let row = SPLITTERS.iter().find(|row| row.name == "HekaFramingSplitter").unwrap();
    let settings = toml::Deserializer::parse("[signer.ops]\nhmac_key = \"k\"\n").unwrap();
    let splitter = (row.read)(settings).unwrap();
    assert!(splitter.start(&engine()).is_err());
}

#[test]
fn regular_expression_ends_each_record() {
    let kind = "RegexSplitter";
    check(kind, "", b"one\ntwo\n\nrest", &["one", "two", "rest"]);
    check(kind, "delimiter = '(\\n+)'", b"one\n\ntwo\nrest", &["one\n\n", "two\n", "rest"]);
    check(kind, "delimiter = '\\r?\\n'", b"one\r\ntwo\n", &["one", "two"]);
    check(kind, "delimiter = '</log>\\s*'", b"a</log> \nb</log>", &["a", "b"]);
    check(kind, "delimiter = '(</log>)\\s*'", b"a</log> \nb</log>", &["a</log>", "b</log>"]);
}

#[test]
fn captured_delimiter_may_begin_the_next_record() {
    let settings = "delimiter = '\\n(\\[\\d)'\ndelimiter_eol = false";
    let stream = b"[1 a\n at x\n[2 b\n[3";
    check("RegexSplitter", settings, stream, &["[1 a\n at x", "[2 b", "[3"]);
    let settings = "delimiter = '(\\d\\d:)'\ndelimiter_eol = false";
    check("RegexSplitter", settings, b"12:a34:b56:", &["12:a", "34:b", "56:"]);
    let settings = "delimiter = '--'\ndelimiter_eol = false";
    check("RegexSplitter", settings, b"--a--b", &["a", "b"]);
}

#[test]
fn delimiter_is_known_without_the_next_byte_where_that_changes_nothing() {
    let ends = |delimiter: &str, stream: &[u8]| {
        let settings = format!("delimiter = '{delimiter}'");
        matches!(start("RegexSplitter", &settings).cut(stream, false), Cut::Record { .. })
    };
    assert!(ends("\\n", b"a\n"));
    assert!(ends("\\r?\\n", b"a\r\n"));
    assert!(!ends("\\s*\\n", b"a  \n"));
    assert!(ends("x+;", b"axxx;"));
    assert!(!ends("\\n+", b"a\n"));
    assert!(!ends("\\n\\b", b"a\n"));
}

#[test]
fn delimiters_that_cannot_work_are_refused() {
    for wrong in ["(", "(a)(b)", "a*", "^", "[^\\s\\S]"] {
        let row = SPLITTERS.iter().find(|row| row.name == "RegexSplitter").unwrap();
        let settings = format!("delimiter = '{wrong}'");
        let read = (row.read)(toml::Deserializer::parse(&settings).unwrap());
        let error = read.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with("delimiter "), "{wrong}: {error}");
    }
}

#[test]
fn lines_that_match_are_one_record() {
    let kind = "PatternGroupingSplitter";
    let settings = "grouping = '^\\s|Exception'";
    let stream = b"start\nAnException\n at x\n at y\nnext\n at z\nend";
    let expected = ["start", "AnException\n at x\n at y", "next", " at z", "end"];
    check(kind, settings, stream, &expected);
    check(kind, settings, b"\n\n a\n b", &[" a\n b"]);
    let settings = "grouping = '^ '\nmax_lines = 2\ndelimiter = '(;)'";
    check(kind, settings, b" 1; 2; 3;4; 5;", &[" 1; 2;", " 3;", "4;", " 5;"]);
}

#[test]
fn mistakes_in_frames_are_told() {
    for (name, hex, expected) in mistakes("frame_", ".hex") {
        let digits = hex.trim().as_bytes().chunks(2);
        let byte = |two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap();
        let stream: Vec<u8> = digits.map(byte).collect();
        let split = split(&mut *start("HekaFramingSplitter", KEYS), &[&stream]);
        assert_eq!(split.lost, [expected.trim_end()], "{name}");
    }
}

/// The mistakes whose file names have this start and this end, and what is expected of them.
fn mistakes(prefix: &str, suffix: &str) -> Vec<(String, String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/mistakes");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with(prefix) && name.ends_with(suffix) {
            let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap();
            found.push((name, std::fs::read_to_string(&path).unwrap(), expected));
        }
    }
    assert!(!found.is_empty());
    found
}

/// Settings under which a stream must not depend on its chunks.
const ANY_CHUNKS: &[(&str, &str)] =
    &[("TokenSplitter", ""), ("TokenSplitter", "count = 3"), ("HekaFramingSplitter", KEYS)];

/// Pieces that streams are made of.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        prop::sample::select(vec![
            b"\n".to_vec(),
            b"\r\n".to_vec(),
            b"2026-11-22 line\n".to_vec(),
            b"\tat org.example\n".to_vec(),
            b"\x1e".to_vec(),
            framed(b"message"),
            framed(&[b'x'; 90]),
            signed(1, Hash::Md5, b"old", b"mine"),
            signed(1, Hash::Md5, b"bad", b"not mine"),
        ]),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn chunks_do_not_change_the_records(
        stream in stream(),
        sizes in prop::collection::vec(1..40usize, 1..20),
    ) {
        for (kind, settings) in ANY_CHUNKS {
            let whole = split(&mut *start(kind, settings), &[&stream]);
            let mut chunks: Vec<&[u8]> = Vec::new();
            let mut rest = &stream[..];
            for size in sizes.iter().cycle() {
                let (chunk, behind) = rest.split_at(rest.len().min(*size));
                chunks.push(chunk);
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            let pieces = split(&mut *start(kind, settings), &chunks);
            prop_assert_eq!(&pieces.records, &whole.records, "{} {}", kind, settings);
        }
    }
}
