//! Splitters: a stream is cut into the same records wherever it is torn, nothing stands still, and
//! no byte is passed over twice.

#![no_main]

use heka::catalog::CATALOG;
use heka::plugin::Cut;
use heka::plugin::Splitting;
use libfuzzer_sys::fuzz_target;

/// Kind, settings, and whether records are the same wherever the stream is torn: what a regular
/// expression finds may depend on what has come.
const SPLITTERS: &[(&str, &str, bool)] = &[
    ("HekaFramingSplitter", "", true),
    ("HekaFramingSplitter", "[signer.ops_1]\nhmac_key = 'secret'", true),
    ("NullSplitter", "", false),
    ("PatternGroupingSplitter", "grouping = '^\\s|Exception'", true),
    ("PatternGroupingSplitter", "grouping = '^ '\nmax_lines = 2\ndelimiter = '(;)'", true),
    ("RegexSplitter", "delimiter = '\\n(\\[\\d)'\ndelimiter_eol = false", false),
    ("RegexSplitter", "delimiter = '(\\d\\d:|a+)'", false),
    ("SyslogFramingSplitter", "", true),
    ("TokenSplitter", "", true),
    ("TokenSplitter", "delimiter = ';'\ncount = 3", true),
    ("TraceSplitter", "max_lines = 5", true),
];

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (which, torn, stream) = input;
    let (kind, settings, is_same) = SPLITTERS[usize::from(which) % SPLITTERS.len()];
    let whole = records(&mut *start(kind, settings), stream, stream.len());
    let torn = usize::from(torn) % (stream.len() + 1);
    let other = records(&mut *start(kind, settings), stream, torn);
    assert!(!is_same || whole == other, "{kind} {settings:?} torn at {torn}");
});

fn start(kind: &str, settings: &str) -> Box<dyn Splitting> {
    let row = CATALOG.splitters.iter().find(|row| row.name == kind).expect("it is there");
    let settings = toml::Deserializer::parse(settings).expect("it is TOML");
    let splitter = (row.read)(settings).expect("the settings are sound");
    splitter.start(&heka_fuzz::engine()).expect("it starts")
}

/// All records of a stream of which `first` bytes come before the rest.
fn records(splitting: &mut dyn Splitting, stream: &[u8], first: usize) -> Vec<Vec<u8>> {
    let (mut found, mut at, mut end) = (Vec::new(), 0, first);
    while at < stream.len() {
        let is_end = end == stream.len();
        if at == end {
            end = stream.len();
            continue;
        }
        match splitting.cut(&stream[at..end], is_end) {
            Cut::Record { record, consumed, .. } => {
                assert!(consumed > 0 && record.end <= consumed && consumed <= end - at);
                found.push(stream[at..end][record].to_vec());
                at += consumed;
            }
            Cut::More => {
                assert!(!is_end, "more than the end is wanted");
                end = stream.len();
            }
            Cut::Skip { consumed, .. } => {
                assert!(consumed > 0 && consumed <= end - at, "{consumed} of {}", end - at);
                at += consumed;
            }
        }
    }
    found
}
