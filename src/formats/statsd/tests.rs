//! Lines of real clients, and lines of none.

use proptest::prelude::*;

use super::Kind;
use super::Line;
use super::Tags;
use super::put_name;
use super::read;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn show(line: &str) -> String {
    match read(line.as_bytes()) {
        Ok(Line::Numbers(numbers)) => {
            let mut name = String::new();
            put_name(numbers.name, numbers.tags, &mut name);
            let values: Vec<String> = numbers.values().map(text).collect();
            format!("{:?} {name} {} @{}", numbers.kind, values.join(" "), numbers.sampling)
        }
        Ok(Line::Event(event)) => format!(
            "event {} {} {:?} {} {} {} {} {} {}",
            text(event.title),
            text(event.text),
            event.time,
            text(event.hostname),
            text(event.aggregation_key),
            text(event.priority),
            text(event.source_type_name),
            text(event.alert_type),
            text(event.tags.0),
        ),
        Ok(Line::ServiceCheck(check)) => format!(
            "check {} {} {:?} {} {} {}",
            text(check.name),
            check.status,
            check.time,
            text(check.hostname),
            text(check.text),
            text(check.tags.0),
        ),
        Err(error) => format!("error: {error}"),
    }
}

fn check(line: &str, expected: &str) {
    assert_eq!(show(line), expected, "{line}");
}

#[test]
fn numbers_of_every_kind_are_read() {
    check("a.b:2|c|@0.5", "Counter a.b 2 @0.5");
    check("a:12.500000|ms", "Timer a 12.500000 @1");
    check("a:-3|g", "Gauge a -3 @1");
    check("a:alice:x|s", "Set a alice:x @1");
    check("a:1.5:2:3|h|@0.5", "Histogram a 1.5 2 3 @0.5");
    check("a:1|d", "Histogram a 1 @1");
    check("a:1|m", "Counter a 1 @1");
}

#[test]
fn tags_stand_behind_the_name_in_order() {
    check("a:5|g|#env:t,app:x:y,flag|T1795352000", "Gauge a;app=x:y;env=t;flag=true 5 @1");
    check("a:1|c|#|c:ci-1", "Counter a 1 @1");
    check("tg,k=v,a=b:1|c", "Counter tg;a=b;k=v 1 @1");
    check("tg;k=v:1|c|#k:v,z:a;b", "Counter tg;k=v;z=a_b 1 @1");
    check("a b/c$,d:1|c", "Counter a_b-cd 1 @1");
}

#[test]
fn events_and_checks_are_read() {
    check(
        "_e{5,9}:Title|text|body|d:1795352000|h:web-1|k:key|p:low|s:src|t:error|#x:y,env:t",
        "event Title text|body Some(1795352000.0) web-1 key low src error x:y,env:t",
    );
    check("_e{1,0}:a|", "event a  None      ");
    check(
        "_sc|svc.ok|2|d:5|h:web|#env:t|m:all | fine",
        "check svc.ok 2 Some(5.0) web all | fine env:t",
    );
    let tags: Vec<_> = Tags(b"a:b:c,,flag").pairs().collect();
    assert_eq!(tags, [(&b"a"[..], &b"b:c"[..]), (b"flag", b"")]);
}

#[test]
fn lines_of_none_are_refused() {
    check("a", "error: there is no c, ms, g, s, h, d or m behind a bar");
    check("a:1", "error: there is no c, ms, g, s, h, d or m behind a bar");
    check("a:1|x", "error: there is no c, ms, g, s, h, d or m behind a bar");
    check(":1|c", "error: there is no name before a colon");
    check("a|c", "error: there is no name before a colon");
    check("a:x|c", "error: the value is no number");
    check("a:|c", "error: the value is no number");
    check("a:nan|g", "error: the value is no number");
    check("a:1|c|@0", "error: the rate is not above 0 and at most 1");
    check("a:1|c|@2", "error: the rate is not above 0 and at most 1");
    check("_e{9,1}:a|b", "error: the event is not whole");
    check("_sc|a|7", "error: the service check is not whole");
}

proptest! {
    #[test]
    fn what_was_sent_is_read(
        name in "[a-z][a-z.]{0,10}",
        value in -1_000_000i32..1_000_000,
        kind in 0usize..4,
        tags in prop::collection::btree_map("[a-z]{1,4}", "[a-z:]{1,4}", 0..4),
    ) {
        let (letter, expected) = [
            ("c", Kind::Counter), ("ms", Kind::Timer), ("g", Kind::Gauge), ("h", Kind::Histogram),
        ][kind];
        let written: Vec<String> = tags.iter().rev().map(|(key, value)| format!("{key}:{value}")).collect();
        let line = format!("{name}:{value}|{letter}|#{}", written.join(","));
        let behind: String = tags.iter().map(|(key, value)| format!(";{key}={value}")).collect();
        prop_assert_eq!(show(&line), format!("{expected:?} {name}{behind} {value} @1"));
    }

    #[test]
    fn nothing_makes_it_panic(line in "(_e\\{|_sc\\||a)?[a0-9:|#@,;={}~ms]{0,20}") {
        show(&line);
    }
}
