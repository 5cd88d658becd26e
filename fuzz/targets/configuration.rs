//! Configurations: any text is read or its mistakes are told with places that can be shown, and the
//! settings of every plugin in it can be looked at.

#![no_main]

use heka::catalog::CATALOG;
use heka::config;
use heka::config::Family;
use heka::config::Surroundings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let kinds = |family: Family| CATALOG.names(family.suffix());
    let variable = |name: &str| (name.len() % 2 == 0).then(|| "a value".to_owned());
    let surroundings = Surroundings { kinds: &kinds, variable: &variable };
    let (read, problems) = config::parse("fuzz.toml", text, &surroundings);
    let shown = config::render_all(&problems, false);
    assert!(problems.is_empty() || !shown.is_empty());
    if let Some(read) = read {
        let again = config::parse("fuzz.toml", text, &surroundings).0.expect("it was read before");
        let difference = config::difference(&read, &again);
        let _ = format!("{difference:?}");
    }
});
