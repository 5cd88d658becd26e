//! Tests of what exporters of Prometheus show.

use proptest::prelude::*;

use super::*;

/// Each sample as one line: name, labels, value, time, kind, unit.
fn check(text: &str, is_open_metrics: bool, expected: &[&str]) {
    let mut told = Vec::new();
    let result = read(text, is_open_metrics, &mut |it| {
        let labels: Vec<String> = it.labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
        let labels = labels.join(",");
        let time = it.time.map(|time| time.to_string()).unwrap_or_default();
        told.push(format!("{} [{labels}] {} {time} {} {}", it.name, it.value, it.kind, it.unit));
        true
    });
    if let Err(error) = result {
        told.push(error.to_string());
    }
    assert_eq!(told, expected, "{text}");
}

#[test]
fn samples_have_the_type_and_unit_of_their_family() {
    check(
        "# HELP hits Hits so far.\n# TYPE hits counter\nhits{code=\"200\",} 12 1700000000000\n\n\
         # TYPE took histogram\ntook_bucket{le=\"+Inf\"} 3\ntook_sum 0.5\nload 1e-3\nbad NaN\n",
        false,
        &[
            "hits [code=\"200\"] 12 1700000000000000000 counter ",
            "took_bucket [le=\"+Inf\"] 3  histogram ",
            "took_sum [] 0.5  histogram ",
            "load [] 0.001   ",
            "bad [] NaN   ",
        ],
    );
}

#[test]
fn open_metrics_count_in_seconds_and_have_exemplars_and_an_end() {
    check(
        "# TYPE took_seconds histogram\n# UNIT took_seconds seconds\n\
         took_seconds_bucket{le=\"0.1\"} 8 1.5 # {trace=\"a } b\"} 0.07\n\
         # TYPE hits counter\nhits_total 2 # {} 1\n# EOF\nnot read",
        true,
        &[
            "took_seconds_bucket [le=\"0.1\"] 8 1500000000 histogram seconds",
            "hits_total [] 2  counter ",
        ],
    );
}

#[test]
fn texts_are_unescaped_and_names_may_be_quoted() {
    check(
        "a{b=\"x\\\\y\\\"z\\n, } w\", c = \"\\q\"}+Inf\n{\"a.name\",\"b c\"=\"d\"} -1\n",
        false,
        &["a [b=\"x\\\\y\\\"z\\n, } w\",c=\"\\\\q\"] inf   ", "a.name [b c=\"d\"] -1   "],
    );
}

#[test]
fn what_is_no_sample_is_told_with_its_line() {
    for (text, why) in [
        ("<html>", "it has no value"),
        ("a b", "its value is no number"),
        ("a 1 x", "its time is no number"),
        ("a 1 2 3", "there is more behind its time"),
        ("a{b} 1", "one of its labels has no value"),
        ("a{b=1} 1", "the value of a label is not in quotes"),
        ("a{b=\"1} 1", "a text in quotes has no end"),
        ("a{b 1", "its labels have no end"),
        ("{} 1", "it has no name"),
    ] {
        check(
            &format!("ok 1\n{text}\n"),
            false,
            &["ok [] 1   ", &format!("line 2 is no sample: {why}")],
        );
    }
}

proptest! {
    #[test]
    fn nothing_panics(text in ".{0,60}", line in "[a{}\"\\\\=,#n 1.]{0,40}") {
        let _ = read(&text, true, &mut |_| true);
        let _ = read(&line, false, &mut |_| true);
    }

    #[test]
    fn labels_come_back_as_they_were(value in "[a-z\"\\\\\n,}{ é]{0,20}", number in -1e9..1e9) {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let text = format!("name{{label=\"{escaped}\"}} {number}\n");
        let mut told = Vec::new();
        read(&text, false, &mut |it| {
            told.push((it.labels[0].1.to_string(), it.value));
            true
        }).unwrap();
        prop_assert_eq!(told, [(value, number)]);
    }
}
