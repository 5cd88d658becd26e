//! Messages as they are met, and our reader held against another.

use chrono::Datelike;
use chrono_tz::Tz;
use proptest::prelude::*;
use syslog_loose::ProcId;
use syslog_loose::Variant;

use super::Line;
use super::Reader;
use super::framing;
use super::framing::Frame;

/// 2026-11-22 15:33:20 UTC.
const NOW: i64 = 1_795_361_600_000_000_000;

fn show(line: &Line<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let priority = line.priority.map(|priority| priority.to_string()).unwrap_or_default();
    let time = line.time.map(|time| {
        chrono::DateTime::from_timestamp_nanos(time)
            .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    });
    let mut parts = vec![priority, time.unwrap_or_default()];
    parts.extend([line.hostname, line.program, line.process, line.message_id].map(text));
    for parameter in line.parameters() {
        let mut value = Vec::new();
        parameter.put_value(&mut value);
        parts.push(format!("{}.{}={}", text(parameter.id), text(parameter.name), text(&value)));
    }
    parts.push(text(line.text));
    parts.join("|")
}

fn check(input: &str, expected: &str) {
    assert_eq!(show(&Reader::new(Tz::UTC).read(input.as_bytes(), NOW)), expected, "{input:?}");
}

#[test]
fn messages_of_both_standards_are_read() {
    check(
        "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8\n",
        "34|2026-10-11T22:14:15Z|mymachine|su|||'su root' failed for lonvick on /dev/pts/8",
    );
    check(
        "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed",
        "34|2003-10-11T22:14:15.003Z|mymachine.example.com|su||ID47|'su root' failed",
    );
    check(
        "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time.",
        "165|2003-08-24T12:14:15.000003Z|192.0.2.1|myproc|8710||%% It's time.",
    );
    check(
        "<165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 [exampleSDID@32473 iut=\"3\" \
         eventSource=\"a \\\"b\\] \\\\ \\n\"][examplePriority@32473 class=\"high\"][empty] text",
        "165|2003-10-11T22:14:15.003Z|host|evntslog||ID47|exampleSDID@32473.iut=3|\
         exampleSDID@32473.eventSource=a \"b] \\ \\n|examplePriority@32473.class=high|empty.=|text",
    );
    check(
        "<132>1 2026-11-22T18:54:31Z vm 1 - - -  2026-11-22T18:54:30Z vm app 77 - [a b=\"c\"] in",
        "132|2026-11-22T18:54:30Z|vm|app|77||a.b=c|in",
    );
    check("<0>1 - - - - - -", "0||||||");
}

#[test]
fn variants_of_the_old_standard_are_read() {
    check(
        "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; \r\n",
        "|2026-06-14T15:16:01Z|combo|sshd(pam_unix)|19939||authentication failure; ",
    );
    check("<13>Nov  2 12:58:40 root: local", "13|2026-11-02T12:58:40Z||root|||local");
    check("<13>Nov 22 12:58:40 vm app[7] text", "13|2026-11-22T12:58:40Z|vm|app|7||text");
    check(
        "<13>2026-11-22T12:58:40.123456+01:00 vm app: text",
        "13|2026-11-22T11:58:40.123456Z|vm|app|||text",
    );
    check("<13>2026-11-22 12:58:40 vm app: text", "13|2026-11-22T12:58:40Z|vm|app|||text");
    check("<13>Nov 22 2025 12:58:40 vm app: x", "13|2025-11-22T12:58:40Z|vm|app|||x");
    check("<13>2025 Nov 22 12:58:40 vm app: x", "13|2025-11-22T12:58:40Z|vm|app|||x");
    check("<13>Dec 31 23:59:59.5 vm app: x", "13|2025-12-31T23:59:59.500Z|vm|app|||x");
    check(
        "<189>000123: *Mar  1 18:46:11.123 CET: %SYS-5-CONFIG_I: Configured",
        "189|2026-03-01T17:46:11.123Z||%SYS-5-CONFIG_I|||Configured",
    );
    check(
        "<166>Nov 22 2026 12:58:40: %ASA-6-302013: Built",
        "166|2026-11-22T12:58:40Z||%ASA-6-302013|||Built",
    );
    check(
        "<13>Nov 22 12:58:40 Message forwarded from aix1: sshd[12]: text",
        "13|2026-11-22T12:58:40Z|aix1|sshd|12||text",
    );
    check(
        "<13>Nov 22 12:58:40 vm last message repeated 2 times",
        "13|2026-11-22T12:58:40Z|vm||||last message repeated 2 times",
    );
    check(
        "<13>Nov 22 12:58:40 fe80::1 see http://example.org now",
        "13|2026-11-22T12:58:40Z|fe80::1||||see http://example.org now",
    );
    check(
        "<13>Nov 22 12:58:40 vm 1 2026-11-22T12:58:40.5+00:00 inner app2 - - [a b=\"c\"] structured",
        "13|2026-11-22T12:58:40.500Z|inner|app2|||a.b=c|structured",
    );
}

#[test]
fn what_has_no_header_is_text() {
    check("<13>app: text", "13|||app|||text");
    check("<13>no header", "13||||||no header");
    check("no header: at all", "||||||no header: at all");
    check("<192>app: text", "||||||<192>app: text");
    check("<>text", "||||||<>text");
    check("<13>1 2003-10-11T22:14:15Z host", "13||||||1 2003-10-11T22:14:15Z host");
    check(
        "<13>1 2003-10-11T22:14:15Z host app 1 - [open a=\"b\" text",
        "13|2003-10-11T22:14:15Z|host|app|1||[open a=\"b\" text",
    );
    check("", "||||||");
    check("\n\0", "||||||");
}

#[test]
fn times_are_those_of_the_zone_unless_they_name_one() {
    let mut reader = Reader::new(Tz::Europe__Berlin);
    let mut time = |input: &str| reader.read(input.as_bytes(), NOW).time.unwrap();
    let noon = 1_795_348_800_000_000_000;
    assert_eq!(time("<13>Nov 22 13:00:00 vm app: x"), noon);
    assert_eq!(time("<13>Nov 22 13:00:00 vm app: again"), noon);
    assert_eq!(time("<13>2026-11-22T13:00:00 vm app: x"), noon);
    assert_eq!(time("<13>2026-11-22T13:00:00Z vm app: x"), noon + 3_600_000_000_000);
}

#[test]
fn messages_follow_each_other_in_both_ways() {
    let check = |input: &str, expected: &[&str]| {
        for is_torn in [false, true] {
            assert_eq!(messages(input.as_bytes(), is_torn), expected, "{input:?}");
        }
    };
    check("5 <1>ab11 <2>two\nline<3>cd\n", &["<1>ab", "<2>two\nline", "<3>cd"]);
    check("<1>one\r\n\n<2>two\0<3>three", &["<1>one", "<2>two", "<3>three"]);
    check("12 apples\n5 <1>ab", &["12 apples", "<1>ab"]);
    check("99 <1>cut", &["<1>cut"]);
    check("1234567890 <1>x\n", &["1234567890 <1>x"]);
}

/// Cuts a stream into messages, byte by byte or at once.
fn messages(bytes: &[u8], is_torn: bool) -> Vec<String> {
    let mut found = Vec::new();
    let (mut at, mut seen) = (0, 0);
    let mut end = if is_torn { 1.min(bytes.len()) } else { bytes.len() };
    while at < bytes.len() {
        let is_end = end == bytes.len();
        match framing::next(&bytes[at..end], seen, is_end) {
            Frame::Message { start, end, consumed } => {
                found.push(String::from_utf8_lossy(&bytes[at + start..at + end]).into_owned());
                (at, seen) = (at + consumed, 0);
            }
            Frame::Nothing(blank) => (at, seen) = (at + blank, 0),
            Frame::More(looked_at) => {
                assert!(!is_end);
                seen = looked_at;
                end += 1;
            }
        }
        end = end.max((at + 1).min(bytes.len()));
    }
    found
}

/// What the other reader says, in the words of ours.
fn other(input: &str) -> String {
    let year = |(month, ..): (u32, u32, u32, u32, u32)| if month == 12 { 2025 } else { 2026 };
    let found =
        syslog_loose::parse_message_with_year_tz(input, year, Some(chrono::Utc), Variant::Either);
    let priority = found
        .facility
        .zip(found.severity)
        .map(|(facility, severity)| (facility as u32 * 8 + severity as u32).to_string());
    let time = found.timestamp.map(|time| {
        assert!(time.year() > 1970);
        time.to_utc().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    });
    let process = found.procid.map(|process| match process {
        ProcId::PID(number) => number.to_string(),
        ProcId::Name(name) => name.to_owned(),
    });
    let mut parts = vec![priority.unwrap_or_default(), time.unwrap_or_default()];
    parts.push(found.hostname.unwrap_or_default().to_owned());
    parts.push(found.appname.unwrap_or_default().to_owned());
    parts.push(process.unwrap_or_default());
    parts.push(found.msgid.unwrap_or_default().to_owned());
    for element in &found.structured_data {
        for (name, value) in element.params() {
            parts.push(format!("{}.{name}={value}", element.id));
        }
    }
    parts.push(found.msg.to_owned());
    parts.join("|")
}

fn names() -> impl Strategy<Value = (u8, String, String, u16, String)> {
    let text = "[a-zA-Z0-9][ -~]{0,30}[a-zA-Z0-9]";
    (0u8..192, "[a-z][a-z0-9-]{0,12}", "[a-z][a-z_/-]{0,12}", 1u16.., text)
}

proptest! {
    #[test]
    fn old_messages_read_as_another_reads_them(
        (priority, host, program, process, text) in names(),
        (month, day) in (0usize..10, 1u32..29),
        has_process in any::<bool>(),
    ) {
        let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Dec"][month];
        let process = if has_process { format!("[{process}]") } else { String::new() };
        let input =
            format!("<{priority}>{month} {day:2} 01:02:03 {host} {program}{process}: {text}");
        let found = show(&Reader::new(Tz::UTC).read(input.as_bytes(), NOW));
        prop_assert_eq!(found, other(&input), "{}", input);
    }

    #[test]
    fn new_messages_read_as_another_reads_them(
        (priority, host, program, process, text) in names(),
        kind in "(-|[A-Z]{1,8})",
        values in prop::collection::vec("([ -!#-Z^-~]|\\\\[\"\\\\\\]]){0,12}", 0..4),
        micros in 0u32..1_000_000,
    ) {
        let data = if values.is_empty() {
            "-".to_owned()
        } else {
            let parameters: String = values
                .iter()
                .enumerate()
                .map(|(index, value)| format!(" p{index}=\"{value}\""))
                .collect();
            format!("[id@1{parameters}][b x=\"1\"]")
        };
        let input = format!(
            "<{priority}>1 2026-01-02T03:04:05.{micros:06}+01:00 {host} {program} {process} {kind} \
             {data} {text}"
        );
        let found = show(&Reader::new(Tz::UTC).read(input.as_bytes(), NOW));
        prop_assert_eq!(found, other(&input), "{}", input);
    }

    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut reader = Reader::new(Tz::Europe__Berlin);
        for prefix in ["", "<13>", "<13>1 - h a p m [", "<13>Nov 22 12:58:40 ", "000: *"] {
            let input = [prefix.as_bytes(), &bytes].concat();
            let _ = show(&reader.read(&input, NOW));
            let _ = messages(&input, true);
        }
    }

    #[test]
    fn framed_messages_come_out_as_they_went_in(
        sent in prop::collection::vec(("<[0-9]{1,2}>[a-z\n0-9]{0,20}", any::<bool>()), 0..6),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (text, is_counted) in sent {
            let text = if is_counted { text } else { text.replace('\n', " ") };
            if is_counted {
                stream.extend(format!("{} {text}", text.len()).bytes());
            } else {
                stream.extend(format!("{text}\n").bytes());
            }
            expected.push(text);
        }
        prop_assert_eq!(messages(&stream, true), expected.clone());
        prop_assert_eq!(messages(&stream, false), expected);
    }
}
