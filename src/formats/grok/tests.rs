//! Expressions, what they capture, and what is wrong with them.

use std::collections::BTreeMap;

use super::Grok;
use super::Kind;
use super::patterns::PATTERNS;
use super::read_patterns;

fn check(expression: &str, line: &str, expected: Option<&[(&str, &str)]>) {
    let mut own = BTreeMap::new();
    read_patterns("# Ours\n\nPOSTFIX_ID [0-9A-F]{10,11}\nBOTH %{WORD:a} %{WORD:b}\n", &mut own)
        .unwrap();
    let grok = Grok::compile(expression, &own).unwrap();
    let mut room = grok.room();
    let found = grok.matches(line.as_bytes(), &mut room).then(|| {
        let captured = grok.captured().iter();
        let text = |at: regex_automata::Span| &line[at.start..at.end];
        captured
            .filter_map(|one| Some((one.name.as_str(), text(room.get_group(one.group)?))))
            .collect::<Vec<_>>()
    });
    assert_eq!(found.as_deref(), expected, "{expression}");
}

fn check_refused(expression: &str, expected: &str) {
    let own =
        BTreeMap::from([("A".to_owned(), "%{B}".to_owned()), ("B".to_owned(), "x%{A}".to_owned())]);
    let error = Grok::compile(expression, &own).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn names_stand_for_patterns_and_capture() {
    check(
        r"^%{IP:client.ip} %{WORD:method} %{URIPATHPARAM:[request]} %{NUMBER:n:int} %{NUMBER:t:float}$",
        "55.3.244.1 GET /index.html?a=b 15824 0.043",
        Some(&[
            ("client.ip", "55.3.244.1"),
            ("method", "GET"),
            ("[request]", "/index.html?a=b"),
            ("n", "15824"),
            ("t", "0.043"),
        ]),
    );
    check("(?<id>%{POSTFIX_ID}): (x|y)", "BEF25A72965: x", Some(&[("id", "BEF25A72965")]));
    check("%{BOTH} (?>%{INT:n})", "one two 3", Some(&[("a", "one"), ("b", "two"), ("n", "3")]));
    check(r"\(%{DATA:in}\) [(%] \%\{x\}?", "(abc) ( %{x}", Some(&[("in", "abc")]));
    check("^%{INT:n}$", "x", None);
}

#[test]
fn kinds_follow_names() {
    let grok =
        Grok::compile("%{INT:a:int} %{INT:b:float} %{WORD:c:bool} %{INT:d}", &BTreeMap::new());
    let kinds: Vec<Kind> = grok.unwrap().captured().iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [Kind::Integer, Kind::Double, Kind::Bool, Kind::Text]);
}

#[test]
fn mistakes_are_told() {
    check_refused("%{NOPE}", "there is no pattern %{NOPE}");
    check_refused("%{A:x}", "the pattern %{A} is made of itself");
    check_refused("%{INT:x:date}", "\"date\" is no kind of value");
    check_refused("(?<!a)b", "look-around");
    check_refused("(a", "not a regular expression");
    let mut own = BTreeMap::new();
    let error = read_patterns("A b\nalone\n", &mut own).unwrap_err();
    assert_eq!(error.to_string(), "line 2 is not a name and a pattern");
}

#[test]
fn every_known_pattern_compiles() {
    for (name, _) in PATTERNS {
        let compiled = Grok::compile(&format!("%{{{name}:x}}"), &BTreeMap::new());
        assert!(compiled.is_ok(), "{name}: {compiled:?}");
    }
}

#[test]
fn known_patterns_match_what_they_are_called() {
    let samples = [
        ("IP", "2001:db8::1:0:0:1"),
        ("IP", "::ffff:10.0.0.1"),
        ("IP", "fe80::1%eth0"),
        ("IP", "::"),
        ("IP", "1:2:3:4:5:6:7:8"),
        ("IP", "255.255.255.255"),
        ("TIMESTAMP_ISO8601", "2015-07-29 17:41:44,747"),
        ("TIMESTAMP_ISO8601", "2026-11-22T12:00:00.5+01:00"),
        ("HTTPDATE", "22/Nov/2026:12:51:54 +0100"),
        ("SYSLOGTIMESTAMP", "Nov  2 12:51:54"),
        ("HTTPDERROR_DATE", "Sun Dec 04 04:47:44 2005"),
        ("DATESTAMP_RFC2822", "Mon, 15 Aug 2005 15:52:01 +0000"),
        ("URI", "https://user:pass@www.example.org:8080/a/b?c=d&e=f"),
        ("EMAILADDRESS", "first.last+tag@example.org"),
        ("MAC", "00:0a:95:9d:68:16"),
        ("UUID", "123e4567-e89b-12d3-a456-426614174000"),
        ("QS", r#""a \" b""#),
        ("WINPATH", r"C:\Windows\System32"),
        ("UNIXPATH", "/usr/lib/x-1.2_3"),
        ("NUMBER", "-.5"),
        ("LOGLEVEL", "WARN"),
        ("JAVACLASS", "org.apache.Thing$Inner"),
        ("HOSTPORT", "example.org:80"),
    ];
    for (name, sample) in samples {
        check(&format!("^%{{{name}}}$"), sample, Some(&[]));
    }
    check(
        "^%{SYSLOGLINE}$",
        "Nov 22 12:00:00 web-1 sshd[12]: text",
        Some(&[
            ("Timestamp", "Nov 22 12:00:00"),
            ("Hostname", "web-1"),
            ("program", "sshd"),
            ("Pid", "12"),
            ("Payload", "text"),
        ]),
    );
}
