//! What expressions mean, and what their mistakes look like.

use proptest::prelude::*;

use super::*;
use crate::message::ArrayBuilder;
use crate::message::Batch;
use crate::message::Value;

/// The message that the tests ask about.
fn sample() -> Batch {
    let mut batch = Batch::new();
    let mut integers = ArrayBuilder::default();
    integers.push(Value::Integer(999));
    integers.push(Value::Integer(1024));
    let mut message = batch.begin();
    message
        .uuid(&[
            0x87, 0xcf, 0x1a, 0xc2, 0xe8, 0x10, 0x4d, 0xdf, 0xa0, 0x2d, 0xa5, 0xce, 0x44, 0xd1,
            0x3a, 0x85,
        ])
        .timestamp(1_416_840_893_000_000_001)
        .message_type(b"test")
        .logger(b"GoSpec")
        .payload(b"Test Payload \xff")
        .pid(-5)
        .string("foo", "", b"bar")
        .bytes("bytes", "", b"da\xffta")
        .array("int", "", &integers)
        .integer("zero", "", 0)
        .integer("large", "", (1 << 53) + 1)
        .double("double", "", 99.9)
        .boolean("true", "", true)
        .boolean("false", "", false)
        .string("foo", "", b"alternate")
        .string("text TRUE", "", b"TRUE");
    message.finish().unwrap();
    batch
}

fn check(expression: &str, batch: &Batch, expected: bool) {
    let matcher = Matcher::parse(expression).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(matcher.matches(&batch.message(0)), expected, "{expression}");
}

fn check_all(expected: bool, expressions: &[&str]) {
    let batch = sample();
    for expression in expressions {
        check(expression, &batch, expected);
    }
}

#[test]
fn header_fields_compare() {
    check_all(
        true,
        &[
            "TRUE",
            "Type == 'test'",
            "Type == \"test\"",
            "Type != ''",
            "Type > 'tes' && Type < 'tesu' && Type >= 'test' && Type <= 'test'",
            "Uuid == '87cf1ac2-e810-4ddf-a02d-a5ce44d13a85'",
            "Uuid =~ /^87cf/",
            "Severity == 7",
            "Severity <= 7.0 && Severity < 7.5",
            "Pid == -5 && Pid > -5.5 && Pid >= -5e0 && Pid < -.5E+0",
            "Hostname == '' && EnvVersion == ''",
            "Payload =~ /Test/ && Payload !~ /test/",
            "Payload =~ /(?i)TEST payload/",
            "Payload =~ /^Test.*$/",
            "Logger=='GoSpec'",
        ],
    );
    check_all(
        false,
        &["FALSE", "Type == 'Test'", "Type != 'test'", "Severity != 7", "Pid == 0", "Uuid == ''"],
    );
}

#[test]
fn timestamps_are_exact_and_may_be_text() {
    check_all(
        true,
        &[
            "Timestamp == 1416840893000000001",
            "Timestamp > 1416840893000000000",
            "Timestamp >= '2014-11-24T14:54:53Z'",
            "Timestamp == '2014-11-24T15:54:53.000000001+01:00'",
        ],
    );
    check_all(false, &["Timestamp == 1416840893000000000", "Timestamp < '2014-11-24T14:54:53Z'"]);
}

#[test]
fn fields_compare_with_their_own_type_only() {
    check_all(
        true,
        &[
            "Fields[foo] == 'bar'",
            "Fields[foo][1] == 'alternate'",
            "Fields[foo][1][0] == 'alternate'",
            "Fields[int][0][1] == 1024",
            "Fields [int] [0] [1] == 1024",
            "Fields[bytes] =~ /^da.*ta$/",
            "Fields[double] == 99.9",
            "Fields[double] > 99 && Fields[double] < 100",
            "Fields[zero] == 0 && Fields[zero] == 0.0 && Fields[zero] == -0",
            "Fields[large] == 9007199254740993",
            "Fields[text TRUE] == 'TRUE'",
        ],
    );
    check_all(
        false,
        &[
            "Fields[zero] == '0'",
            "Fields[zero] != '0'",
            "Fields[foo] == 43",
            "Fields[foo] != 43",
            "Fields[int] =~ /999/",
            "Fields[int] !~ /999/",
            "Fields[large] == 9007199254740992",
            "Fields[large] == 9007199254740992.0",
            "Fields[text TRUE] == TRUE",
            "Fields[text TRUE] != TRUE",
            "Fields[false] == 'x'",
            "Fields[false] == 0",
        ],
    );
}

#[test]
fn truth_values_have_both_operators() {
    check_all(
        true,
        &[
            "Fields[true] == TRUE",
            "Fields[true] != FALSE",
            "Fields[false] == FALSE",
            "Fields[false] != TRUE",
        ],
    );
    check_all(false, &["Fields[true] != TRUE", "Fields[false] == TRUE", "Fields[absent] != TRUE"]);
}

#[test]
fn what_is_absent_passes_nothing_but_nil() {
    check_all(
        true,
        &[
            "Fields[absent] == NIL",
            "Fields[foo] != NIL",
            "Fields[foo][2] == NIL",
            "Fields[int][0][2] == NIL",
            "Fields[int][0][1] != NIL",
            "Hostname == NIL && EnvVersion == NIL && Severity == NIL",
            "Pid != NIL && Type != NIL && Uuid != NIL && Timestamp != NIL",
            "NOT Fields[absent] == 'x'",
            "!Fields[absent] != 'x'",
        ],
    );
    check_all(
        false,
        &[
            "Fields[absent] == 'x'",
            "Fields[absent] != 'x'",
            "Fields[absent] !~ /x/",
            "Fields[absent] < 1",
            "Fields[absent] != NIL",
            "Fields[int][1] == 1024",
        ],
    );
}

#[test]
fn words_join_in_their_order() {
    check_all(
        true,
        &[
            "Type == 'test' && Severity == 7 || Payload == 'Test Payload'",
            "FALSE && FALSE || TRUE",
            "TRUE || FALSE && FALSE",
            "NOT FALSE && TRUE",
            "NOT (TRUE && FALSE)",
            "!!TRUE && NOT NOT TRUE && ! FALSE",
            "NOT Type == 'x' && Severity == 7",
            "\n ( Type == 'test'\r\n\t&& Severity == 7 )\n",
        ],
    );
    check_all(
        false,
        &["(TRUE || FALSE) && FALSE", "NOT TRUE || FALSE", "Type == 'test'\n&& FALSE"],
    );
}

#[test]
fn backslashes_escape_only_what_they_must() {
    let mut batch = Batch::new();
    let mut message = batch.begin();
    message.payload(br#"a"b'c\d/e"#);
    message.finish().unwrap();
    check(r#"Payload == "a\"b'c\d/e""#, &batch, true);
    check(r#"Payload == 'a"b\'c\d/e'"#, &batch, true);
    check(r"Payload =~ /c\\d\/e$/", &batch, true);
    check(r"Payload =~ /\\/ && Payload =~ /\//", &batch, true);
}

/// What an error shows, line by line.
fn shown(expression: &str) -> String {
    match Matcher::parse(expression) {
        Ok(_) => panic!("{expression} was taken"),
        Err(error) => error.to_string(),
    }
}

fn check_error(expression: &str, expected: &str) {
    assert_eq!(shown(expression), expected.trim_matches('\n'), "{expression}");
}

#[test]
fn errors_point_at_the_place() {
    check_error(
        "Typ == 'x'",
        "
unknown word Typ
  | Typ == 'x'
  | ^^^ did you mean Type?",
    );
    check_error(
        "Type = 'x'",
        "
= is no operator
  | Type = 'x'
  |      ^ did you mean ==?",
    );
    check_error(
        "Type == 'a' Severity == 3",
        "
two expressions stand side by side
  | Type == 'a' Severity == 3
  |             ^^^^^^^^ expected && or || between them",
    );
    check_error(
        "Type == 'a'\n  && Payload =~ /a(b/\n",
        "
bad regular expression: unclosed group
  |   && Payload =~ /a(b/
  |                   ^",
    );
    check_error(
        "Severity == '3'",
        "
unexpected '3'
  | Severity == '3'
  |             ^^^ expected a number",
    );
    check_error(
        "(Type == 'a' && (TRUE)",
        "
parenthesis is not closed
  | (Type == 'a' && (TRUE)
  | ^ expected )",
    );
    check_error(
        "Type ==",
        "
expression ends too early
  | Type ==
  |        ^ expected text in quotes or NIL",
    );
    check_error("", "expression is empty, expected a variable such as Type or Fields[name]");
}

#[test]
fn mistakes_are_refused() {
    let mistakes = [
        "Type == 'a' and TRUE",
        "Type == 'a' or TRUE",
        "Type ~= /a/",
        "Type <> 'a'",
        "Type =~ 'a'",
        "Type == /a/",
        "Type == 'a",
        "Type =~ /a",
        "Pid =~ /a/",
        "Fields[x",
        "Fields[] == 1",
        "Fields[x][a] == 1",
        "Fields[x][-1] == 1",
        "Fields[x][0][0][0] == 1",
        "Fields[x] > TRUE",
        "Fields[x] < NIL",
        "Type == TRUE",
        "Type == 5",
        "Pid == 5x",
        "Pid == 1e999",
        "Pid == 1.2.3",
        "Pid == -",
        "Pid == 5 6",
        "'a' == Type",
        "Type",
        "()",
        "TRUE)",
        "TRUE;",
        "TRUE\ngarbage",
        "NOT",
        "Timestamp > 'yesterday'",
        "Timestamp > '3000-01-01T00:00:00Z'",
        "Type == “a”",
    ];
    for mistake in mistakes {
        shown(mistake);
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let nested = |depth: usize| "(".repeat(depth) + "TRUE" + &")".repeat(depth);
    assert!(Matcher::parse(&nested(100)).is_ok());
    assert!(shown(&nested(101)).contains("nest deeper than 100"));
    assert!(Matcher::parse(&("!".repeat(60_000) + "TRUE")).is_ok());
    let long = vec!["Severity == 1"; 3_000].join(" || ");
    assert!(Matcher::parse(&long).is_ok());
    assert!(shown(&" ".repeat(70_000)).contains("longer than 65536 bytes"));
    let large = vec![r"Payload =~ /x\pL{50}/"; 1_000].join(" || ");
    assert!(shown(&large).contains("bytes of memory"));
}

#[test]
fn long_lines_are_cut_around_the_mistake() {
    let long = format!("{} Typ == 1 && {}", "TRUE &&".repeat(50), "TRUE && ".repeat(50));
    let shown = shown(&long);
    let lines: Vec<&str> = shown.lines().collect();
    let caret = lines[2].chars().position(|c| c == '^').unwrap();
    assert_eq!(lines[1].chars().skip(caret).take(3).collect::<String>(), "Typ");
    assert!(lines[1].chars().count() < 110);
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,40}") {
        let _ = Matcher::parse(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn any_row_of_words_is_answered(words in prop::collection::vec(prop::sample::select(vec![
        "Type", "Pid", "Fields[", "Fields[x]", "[1]", "]", "==", "!=", "=~", "<", "'a'", "\"", "'",
        "/a/", "/", "(", ")", "&&", "||", "!", "NOT", "TRUE", "NIL", "5", "-", ".", "e", "=", "\n",
        "\\", "é", "/(/",
    ]), 0..12)) {
        let text = words.concat();
        if let Err(error) = Matcher::parse(&text) {
            let span = error.span();
            prop_assert!(span.start <= span.end && span.end <= text.len());
            prop_assert_eq!(error.expression(), text);
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

/// `NAME.matcher` is an expression with a mistake, `NAME.expected` what must be said about it.
/// `MISTAKES=write` writes the latter anew.
#[test]
fn every_mistake_gives_its_message() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mistakes");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "matcher") {
            continue;
        }
        let found = shown(&std::fs::read_to_string(&path).unwrap()) + "\n";
        let expected = path.with_extension("expected");
        if std::env::var_os("MISTAKES").is_some_and(|word| word == "write") {
            std::fs::write(&expected, &found).unwrap();
        }
        assert_eq!(found, std::fs::read_to_string(&expected).unwrap(), "{}", path.display());
        count += 1;
    }
    assert!(count > 40, "{count} mistakes");
}

#[test]
fn settings_hold_matchers() {
    let text = "\"Type == 'a' && Severity < 4\"";
    let matcher: Matcher = serde_json::from_str(text).unwrap();
    assert_eq!(matcher.to_string(), "Type == 'a' && Severity < 4");
    assert_eq!(serde_json::to_string(&matcher).unwrap(), text);
    assert_eq!(matcher, matcher.source().parse().unwrap());
    let error = serde_json::from_str::<Matcher>("\"Typ == 'a'\"").unwrap_err().to_string();
    assert!(error.contains("\n  | ^^^ did you mean Type?"), "{error}");
}
