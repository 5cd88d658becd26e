//! Lines of both servers, read and written.

use proptest::prelude::*;

use super::AccessLog;
use super::Dialect;
use super::Line;
use super::UserAgent;
use crate::message::Batch;
use crate::message::Value;

/// Reads `line` and shows what it gives: the time in nanoseconds and `name[representation]=value`.
fn read(log: &AccessLog, line: &str) -> Result<Vec<String>, String> {
    let mut found = Line::default();
    log.read(line.as_bytes(), 0, &mut found).map_err(|error| error.to_string())?;
    let mut batch = Batch::new();
    let mut builder = batch.begin();
    log.write_fields(line.as_bytes(), &mut found, &mut builder);
    builder.finish().unwrap();
    let mut shown: Vec<String> = found.time().iter().map(|time| format!("time={time}")).collect();
    for field in batch.message(0).fields() {
        let values: Vec<String> = field.values().map(|value| show(&value)).collect();
        let name = String::from_utf8_lossy(field.name());
        let unit = String::from_utf8_lossy(field.representation());
        let unit = if unit.is_empty() { String::new() } else { format!("[{unit}]") };
        shown.push(format!("{name}{unit}={}", values.join(",")));
    }
    Ok(shown)
}

fn show(value: &Value<'_>) -> String {
    match value {
        Value::Integer(number) => format!("{number}"),
        Value::Double(number) => format!("{number:?}f"),
        value => format!("{:?}", String::from_utf8_lossy(value.as_bytes().unwrap_or_default())),
    }
}

fn check(format: &str, line: &str, expected: &[&str]) {
    let log = AccessLog::compile(format, None, UserAgent::Text).unwrap();
    assert_eq!(read(&log, line).unwrap(), expected, "{format}");
}

fn check_mismatch(format: &str, line: &str, expected: &str) {
    let log = AccessLog::compile(format, None, UserAgent::Text).unwrap();
    assert_eq!(read(&log, line).unwrap_err(), expected);
}

const COMBINED: &str = "10.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET /a?b HTTP/1.0\" 200 \
                        2326 \"http://www.example.com/\" \"Mozilla/4.08 [en] (Win98; I ;Nav)\"";

#[test]
fn combined_lines_of_both_servers_are_read() {
    let mut expected = vec![
        "time=971211336000000000",
        "remote_addr[ipv4]=\"10.0.0.1\"",
        "remote_user=\"frank\"",
        "request=\"GET /a?b HTTP/1.0\"",
        "status=200",
        "body_bytes_sent[B]=2326",
        "http_referer=\"http://www.example.com/\"",
        "http_user_agent=\"Mozilla/4.08 [en] (Win98; I ;Nav)\"",
    ];
    check("combined", COMBINED, &expected);
    expected.insert(2, "remote_ident=\"-\"");
    let written = "%h %l %u %t \\\"%r\\\" %>s %b \\\"%{Referer}i\\\" \\\"%{User-Agent}i\\\"";
    check(written, COMBINED, &expected);
    let log = AccessLog::compile("combined", Some(Dialect::Apache), UserAgent::Text).unwrap();
    assert_eq!(read(&log, COMBINED).unwrap(), expected);
}

#[test]
fn variables_of_nginx_have_their_types() {
    check(
        "$host ${server_name} $request_time $msec $connection.$pipe",
        "example.org ::1 0.250 1416840893.125 17.p",
        &[
            "time=1416840893125000000",
            "host[hostname]=\"example.org\"",
            "server_name[ipv6]=\"::1\"",
            "request_time[s]=0.25f",
            "connection=17",
            "pipe=\"p\"",
        ],
    );
    check(
        "$time_iso8601|$upstream_addr|$upstream_response_time|$upstream_status|$gzip_ratio",
        "2026-03-01T01:00:00+01:00|10.0.0.1:80, 10.0.0.2:80 : unix:/s|0.1, - : 2.5|502, 200|-",
        &[
            "time=1772323200000000000",
            "upstream_addr=\"10.0.0.1:80\",\"10.0.0.2:80\",\"unix:/s\"",
            "upstream_response_time[s]=0.1f,2.5f",
            "upstream_status=502,200",
        ],
    );
}

#[test]
fn directives_of_apache_have_their_types() {
    check(
        "%v:%p %{X-Forwarded-For}i %!200,304{Sid}C %D %{ms}T %T %X %I %O %% %{remote}p",
        "example.org:443 - abc 1250 1 0 + 100 200 % -",
        &[
            "server_name[hostname]=\"example.org\"",
            "server_port=443",
            "http_x_forwarded_for=\"-\"",
            "cookie_sid=\"abc\"",
            "request_time[us]=1250",
            "request_time[ms]=1",
            "request_time[s]=0",
            "connection_status=\"+\"",
            "request_length[B]=100",
            "bytes_sent[B]=200",
        ],
    );
    check("%h %b", "h -", &["remote_addr[hostname]=\"h\""]);
}

#[test]
fn time_of_apache_may_come_in_pieces() {
    check(
        "[%{%d/%b/%Y %T}t.%{usec_frac}t %{%z}t] %s",
        "[01/Mar/2026 01:00:00.250000 +0100] 200",
        &["time=1772323200250000000", "status=200"],
    );
    check("%{msec}t %s", "1772323200250 200", &["time=1772323200250000000", "status=200"]);
    check("%{end:sec}t %{sec}t", "1772323300 1772323200", &["time=1772323200000000000"]);
    check("%{end:sec}t", "1772323300", &["time=1772323300000000000"]);
}

#[test]
fn escaped_quotes_do_not_end_text() {
    check(
        "\"%r\" \"%{Referer}i\"",
        r#""GET /\"x\" HTTP/1.1" "a\\""#,
        &[r#"request="GET /\\\"x\\\" HTTP/1.1""#, r#"http_referer="a\\\\""#],
    );
}

#[test]
fn mismatch_says_where_and_what() {
    check_mismatch(
        "combined",
        "10.0.0.1 - - [oops] \"",
        "column 15: expected a time as in 22/Nov/2026:12:51:54 +0100 for $time_local, found \
         \"oops] \\\"\"",
    );
    check_mismatch("$status $host", "2o0 x", "column 2: expected \" \", found \"o0 x\"");
    check_mismatch(
        "$status $host",
        "x",
        "column 1: expected a whole number for $status, found \"x\"",
    );
    check_mismatch("$host x", "", "column 1: expected \" x\", found the end of the line");
    check_mismatch("$status", "200 ", "column 4: expected the end of the line, found \" \"");
    check_mismatch(
        "%{%F}t",
        "2026-02-30",
        "column 1: expected a time that exists, found \"2026-02-30\"",
    );
    check_mismatch("[$status", "200", "column 1: expected \"[\", found \"200\"");
}

#[test]
fn formats_that_cannot_work_are_refused() {
    let check = |format: &str, expected: &str| {
        let error = AccessLog::compile(format, None, UserAgent::Text).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        "$host$uri",
        "log format, column 6: $uri follows $host with no text between, so nobody can tell where \
         one ends",
    );
    check("%h %Q", "log format, column 4: %Q is no directive that is known");
    check("%h %{Referer", "log format, column 4: the brace is not closed");
    check("%h %", "log format, column 4: a letter must follow the percent sign");
    check("%{%Q}t", "log format, column 1: %Q at column 1 stands for nothing in a time");
    check("$host $", "log format, column 7: a name must follow the dollar sign");
    check("${host", "log format, column 1: the brace of ${ is not closed");
    check("host", "log format \"host\" has no variable ($name of nginx, %h of Apache)");
}

#[test]
fn user_agent_is_taken_apart_when_told_so() {
    let known = "Mozilla/5.0 (X11; Linux) Firefox/128.0";
    let parts =
        ["user_agent_browser=\"Firefox\"", "user_agent_version=128", "user_agent_os=\"Linux\""];
    let whole = format!("http_user_agent={known:?}");
    let check = |mode, line: &str, expected: &[&str]| {
        let log = AccessLog::compile("$http_user_agent", None, mode).unwrap();
        assert_eq!(read(&log, line).unwrap(), expected, "{mode:?}");
    };
    check(UserAgent::Parts, known, &parts);
    check(UserAgent::PartsOrText, known, &parts);
    check(UserAgent::PartsAndText, known, &[&parts[..], &[whole.as_str()]].concat());
    check(UserAgent::Parts, "curl", &[]);
    check(UserAgent::PartsOrText, "curl", &["http_user_agent=\"curl\""]);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(format in "[$%{}a-z\\[\\]\" h>s\\\\t]{0,20}", line in "\\PC{0,60}") {
        if let Ok(log) = AccessLog::compile(&format, None, UserAgent::PartsOrText) {
            let _ = read(&log, &line);
        }
    }

    #[test]
    fn damaged_lines_do_not_panic(at in 0..200usize, byte in any::<u8>()) {
        let log = AccessLog::compile("combined", None, UserAgent::Parts).unwrap();
        let mut line = COMBINED.as_bytes().to_vec();
        let at = at % line.len();
        line[at] = byte;
        let mut found = Line::default();
        if log.read(&line, 0, &mut found).is_ok() {
            let mut batch = Batch::new();
            let mut builder = batch.begin();
            log.write_fields(&line, &mut found, &mut builder);
            builder.finish().unwrap();
        }
    }
}
