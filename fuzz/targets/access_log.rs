//! Access logs: the first line is nginx's `log_format`, or the name of one that is known; the others
//! are what was logged.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let Some(format) = lines.next().and_then(|line| std::str::from_utf8(line).ok()) else { return };
    let format = serde_json::to_string(format.trim_end()).expect("text is JSON");
    for settings in [format!("log_format = {format}"), "log_format = 'combined'".to_owned()] {
        let Ok(mut decoding) = heka_fuzz::start("AccessLogDecoder", &settings) else { continue };
        for line in lines.clone() {
            let _ = heka_fuzz::decode(&mut *decoding, line);
        }
    }
});
