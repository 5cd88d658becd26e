//! OTLP: bodies as protobuf and as JSON. Whatever is read is bounded before, and every message that
//! is made can be read again.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, body)) = bytes.split_first() else { return };
    let batches = heka::inputs::read_otlp(which & 3, *which > 127, body);
    for batch in batches.unwrap_or_default() {
        heka_fuzz::check(&batch);
    }
});
