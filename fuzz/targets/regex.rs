//! Regular expressions and grok: the first line is the pattern, the others are records.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let Some(pattern) = lines.next().and_then(|line| std::str::from_utf8(line).ok()) else {
        return;
    };
    if pattern.len() > 200 {
        return;
    }
    let pattern = serde_json::to_string(pattern.trim_end()).expect("text is JSON");
    let regex = format!(
        "match_regex = {pattern}\nmessage_fields = {{ Type = '%a%', b = '%b%', Payload = '%1%' }}\n"
    );
    for (kind, settings) in
        [("PayloadRegexDecoder", regex), ("GrokDecoder", format!("match = [{pattern}]"))]
    {
        let Ok(mut decoding) = heka_fuzz::start(kind, &settings) else { continue };
        for line in lines.clone() {
            let _ = heka_fuzz::decode(&mut *decoding, line);
        }
    }
});
