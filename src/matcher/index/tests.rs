//! The index against one matcher after the other, and both against a plain model of the language.

use proptest::prelude::*;

use super::*;
use crate::message::ArrayBuilder;
use crate::message::Marks;
use crate::message::Value;

/// A value in the model.
#[derive(Clone, Debug, PartialEq)]
enum Plain {
    Text(Vec<u8>),
    Integer(i64),
    Double(f64),
    Truth(bool),
}

impl Plain {
    fn value(&self) -> Value<'_> {
        match self {
            Plain::Text(text) => Value::String(text),
            Plain::Integer(integer) => Value::Integer(*integer),
            Plain::Double(double) => Value::Double(*double),
            Plain::Truth(truth) => Value::Bool(*truth),
        }
    }
}

/// A message in the model.
#[derive(Clone, Debug)]
struct PlainMessage {
    message_type: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    severity: Option<i32>,
    timestamp: i64,
    fields: Vec<(&'static str, Vec<Plain>)>,
    signer: usize,
}

const SIGNERS: [&str; 3] = ["", "alice", "bob"];

impl PlainMessage {
    fn write(&self, batch: &mut Batch) {
        let signer = SIGNERS[self.signer];
        let signer = if signer.is_empty() { 0 } else { batch.signer_number(signer) };
        let mut message = batch.begin();
        message.timestamp(self.timestamp).marks(Marks { signer, loops: 0 });
        if let Some(text) = &self.message_type {
            message.message_type(text);
        }
        if let Some(text) = &self.payload {
            message.payload(text);
        }
        if let Some(severity) = self.severity {
            message.severity(severity);
        }
        for (name, values) in &self.fields {
            let mut array = ArrayBuilder::default();
            for value in values {
                assert!(array.push(value.value()));
            }
            message.array(name, "", &array);
        }
        message.finish().unwrap();
    }
}

/// A test in the model: what is read, and what passes.
#[derive(Clone, Debug)]
enum Left {
    Type,
    Payload,
    Severity,
    Timestamp,
    Field(&'static str, usize, usize),
}

#[derive(Clone, Debug)]
enum Right {
    Compare(&'static str, &'static str),
    Pattern(&'static str, &'static str),
    Nil(&'static str),
}

impl Left {
    fn text(&self) -> String {
        match self {
            Left::Type => "Type".to_owned(),
            Left::Payload => "Payload".to_owned(),
            Left::Severity => "Severity".to_owned(),
            Left::Timestamp => "Timestamp".to_owned(),
            Left::Field(name, 0, 0) => format!("Fields[{name}]"),
            Left::Field(name, field, 0) => format!("Fields[{name}][{field}]"),
            Left::Field(name, field, value) => format!("Fields[{name}][{field}][{value}]"),
        }
    }

    fn is_text(&self) -> bool {
        matches!(self, Left::Type | Left::Payload)
    }

    fn is_number(&self) -> bool {
        matches!(self, Left::Severity | Left::Timestamp)
    }

    /// The value for comparisons, and whether it is there.
    fn read(&self, message: &PlainMessage) -> (Option<Plain>, bool) {
        let text = |text: &Option<Vec<u8>>| {
            (Some(Plain::Text(text.clone().unwrap_or_default())), text.is_some())
        };
        match self {
            Left::Type => text(&message.message_type),
            Left::Payload => text(&message.payload),
            Left::Severity => {
                let severity = i64::from(message.severity.unwrap_or(7));
                (Some(Plain::Integer(severity)), message.severity.is_some())
            }
            Left::Timestamp => (Some(Plain::Integer(message.timestamp)), true),
            Left::Field(name, field, value) => {
                let mut fields = message
                    .fields
                    .iter()
                    .filter(|(known, values)| known == name && !values.is_empty());
                let found = fields.nth(*field).and_then(|(_, values)| values.get(*value).cloned());
                (found.clone(), found.is_some())
            }
        }
    }
}

impl Right {
    fn text(&self) -> String {
        match self {
            Right::Compare(operator, literal) => format!("{operator} {literal}"),
            Right::Pattern(operator, pattern) => {
                format!("{operator} /{}/", pattern.replace('/', "\\/"))
            }
            Right::Nil(operator) => format!("{operator} NIL"),
        }
    }

    fn suits(&self, left: &Left) -> bool {
        match self {
            Right::Compare(_, literal) if literal.starts_with('\'') => !left.is_number(),
            Right::Compare(operator, "TRUE" | "FALSE") => {
                !left.is_text() && !left.is_number() && matches!(*operator, "==" | "!=")
            }
            Right::Compare(..) => !left.is_text(),
            Right::Pattern(..) => !left.is_number(),
            Right::Nil(_) => true,
        }
    }

    fn holds(&self, value: Option<Plain>, is_there: bool) -> bool {
        match (self, value) {
            (Right::Nil(operator), _) => is_there == (*operator == "!="),
            (_, None) => false,
            (Right::Pattern(operator, pattern), Some(Plain::Text(text))) => {
                let regex = regex::bytes::Regex::new(&format!("(?-u){pattern}")).unwrap();
                regex.is_match(&text) == (*operator == "=~")
            }
            (Right::Compare(operator, literal), Some(value)) => compare(&value, operator, literal),
            _ => false,
        }
    }
}

/// Compares as the language says; numbers here are small enough for doubles, or both integers.
fn compare(value: &Plain, operator: &str, literal: &str) -> bool {
    let ordering = match value {
        Plain::Text(text) if literal.starts_with('\'') => {
            text.as_slice().cmp(literal.trim_matches('\'').as_bytes())
        }
        Plain::Truth(truth) if matches!(literal, "TRUE" | "FALSE") => {
            truth.cmp(&(literal == "TRUE"))
        }
        Plain::Integer(integer) if literal.parse::<i64>().is_ok() => {
            integer.cmp(&literal.parse().unwrap())
        }
        Plain::Integer(_) | Plain::Double(_) if literal.parse::<f64>().is_ok() => {
            let double = match value {
                Plain::Integer(integer) => *integer as f64,
                Plain::Double(double) => *double,
                _ => unreachable!(),
            };
            match double.partial_cmp(&literal.parse().unwrap()) {
                Some(ordering) => ordering,
                None => return operator == "!=",
            }
        }
        _ => return false,
    };
    match operator {
        "==" => ordering.is_eq(),
        "!=" => ordering.is_ne(),
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        ">=" => ordering.is_ge(),
        _ => unreachable!(),
    }
}

#[derive(Clone, Debug)]
enum Expression {
    Constant(bool),
    Test(Left, Right),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Expression {
    fn text(&self) -> String {
        let joined = |parts: &[Expression], word: &str| {
            let parts: Vec<_> = parts.iter().map(Expression::text).collect();
            format!("({})", parts.join(word))
        };
        match self {
            Expression::Constant(truth) => truth.to_string().to_uppercase(),
            Expression::Test(left, right) => format!("{} {}", left.text(), right.text()),
            Expression::Not(inner) => format!("NOT {}", inner.text()),
            Expression::All(parts) => joined(parts, " && "),
            Expression::Any(parts) => joined(parts, " || "),
        }
    }

    fn holds(&self, message: &PlainMessage) -> bool {
        match self {
            Expression::Constant(truth) => *truth,
            Expression::Test(left, right) => {
                let (value, is_there) = left.read(message);
                right.holds(value, is_there)
            }
            Expression::Not(inner) => !inner.holds(message),
            Expression::All(parts) => parts.iter().all(|part| part.holds(message)),
            Expression::Any(parts) => parts.iter().any(|part| part.holds(message)),
        }
    }
}

fn some_text() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(b"aabbc \xff".to_vec());
    prop_oneof![
        3 => prop::collection::vec(byte, 0..9),
        1 => prop::sample::select(vec![b"abc".to_vec(), b"GET /abc".to_vec(), b"bcabca".to_vec()]),
    ]
}

fn some_integer() -> impl Strategy<Value = i64> {
    prop_oneof![-2..9_i64, prop::sample::select(vec![1 << 53, (1 << 53) + 1, i64::MAX, i64::MIN])]
}

fn some_double() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![-1.0, 0.0, -0.0, 0.5, 1.0, 1.5, 2.0, 7.0, f64::NAN, f64::INFINITY])
}

fn some_values() -> impl Strategy<Value = Vec<Plain>> {
    prop_oneof![
        prop::collection::vec(some_text().prop_map(Plain::Text), 1..3),
        prop::collection::vec(some_integer().prop_map(Plain::Integer), 0..3),
        prop::collection::vec(some_double().prop_map(Plain::Double), 1..3),
        prop::collection::vec(any::<bool>().prop_map(Plain::Truth), 1..3),
    ]
}

fn some_message() -> impl Strategy<Value = PlainMessage> {
    let name = prop::sample::select(vec!["x", "y", "status", "s", "z"]);
    let fields = prop::collection::vec((name, some_values()), 0..6);
    let text = || prop::option::of(some_text());
    let severity = prop::option::of(-1..9_i32);
    (text(), text(), severity, some_integer(), fields, 0..SIGNERS.len()).prop_map(
        |(message_type, payload, severity, timestamp, fields, signer)| PlainMessage {
            message_type,
            payload,
            severity,
            timestamp,
            fields,
            signer,
        },
    )
}

fn some_test() -> impl Strategy<Value = Expression> {
    let field = (prop::sample::select(vec!["x", "y", "status", "none"]), 0..2_usize, 0..2_usize)
        .prop_map(|(name, field, value)| Left::Field(name, field, value));
    let header =
        prop::sample::select(vec![Left::Type, Left::Payload, Left::Severity, Left::Timestamp]);
    let literal = prop::sample::select(vec![
        "''",
        "'a'",
        "'b'",
        "'abc'",
        "'bb'",
        "-1",
        "0",
        "1",
        "1.5",
        "0.5",
        "2",
        "7",
        "3e0",
        "TRUE",
        "FALSE",
        "9007199254740993",
    ]);
    let compare = prop::sample::select(vec!["==", "==", "!=", "<", "<=", ">", ">="]);
    let pattern = prop::sample::select(vec![
        "^a",
        "b$",
        "ab",
        "^abc$",
        "a.*b",
        "a|b",
        "[ab]+c",
        "(?i)AB",
        "abc",
        "bca?b",
        "",
        "^$",
        "GET /",
        "^[a-c ]*abc",
        "abc|bca",
        "^GET",
    ]);
    let search = prop::sample::select(vec!["=~", "=~", "!~"]);
    let nil = prop::sample::select(vec!["==", "!="]);
    let right = prop_oneof![
        5 => (compare, literal).prop_map(|(operator, literal)| Right::Compare(operator, literal)),
        3 => (search, pattern).prop_map(|(operator, pattern)| Right::Pattern(operator, pattern)),
        1 => nil.prop_map(Right::Nil),
    ];
    (prop_oneof![field, header], right)
        .prop_filter("types", |(left, right)| right.suits(left))
        .prop_map(|(left, right)| Expression::Test(left, right))
}

fn some_expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        1 => any::<bool>().prop_map(Expression::Constant),
        20 => some_test(),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            1 => inner.clone().prop_map(|inner| Expression::Not(Box::new(inner))),
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(Expression::All),
            3 => prop::collection::vec(inner, 1..4).prop_map(Expression::Any),
        ]
    })
}

/// What the index says, compared with `expected(row, message)`.
fn check(rows: &[Row], batch: &Batch, expected: impl Fn(usize, usize) -> bool) {
    let index = Index::new(rows.to_vec());
    let matches = index.evaluate(batch);
    for (id, row) in rows.iter().enumerate() {
        let wanted: Vec<u16> = (0..=u16::MAX)
            .take(batch.len())
            .filter(|message| expected(id, usize::from(*message)))
            .collect();
        assert_eq!(matches.of(id), wanted, "row {id}: {}", row.matcher);
        assert_eq!(matches.is_empty_for(id), wanted.is_empty());
    }
}

fn rows(expressions: &[String]) -> Vec<Row> {
    let row = |text: &String| Row { matcher: Matcher::parse(text).unwrap(), signer: None };
    expressions.iter().map(row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn index_and_matchers_say_what_the_model_says(
        expressions in prop::collection::vec((some_expression(), 0..SIGNERS.len()), 1..24),
        messages in prop::collection::vec(some_message(), 0..12),
    ) {
        let mut batch = Batch::new();
        for message in &messages {
            message.write(&mut batch);
        }
        let rows: Vec<Row> = expressions
            .iter()
            .map(|(expression, signer)| Row {
                matcher: Matcher::parse(&expression.text()).unwrap(),
                signer: (*signer != 0).then(|| SIGNERS[*signer].to_owned()),
            })
            .collect();
        for (row, (expression, _)) in rows.iter().zip(&expressions) {
            for (at, message) in messages.iter().enumerate() {
                prop_assert_eq!(
                    row.matcher.matches(&batch.message(at)),
                    expression.holds(message),
                    "{} on {:?}", row.matcher, message
                );
            }
        }
        check(&rows, &batch, |id, at| {
            let (expression, signer) = &expressions[id];
            expression.holds(&messages[at]) && (*signer == 0 || *signer == messages[at].signer)
        });
    }

    #[test]
    fn damaged_messages_give_the_same_answer(
        expressions in prop::collection::vec(some_expression(), 1..24),
        message in some_message(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut whole = Batch::new();
        message.write(&mut whole);
        let mut bytes = whole.message(0).bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut batch = Batch::new();
        if batch.push_encoded(&bytes, Marks::default()).is_ok() {
            let rows = rows(&expressions.iter().map(Expression::text).collect::<Vec<_>>());
            check(&rows, &batch, |id, at| rows[id].matcher.matches(&batch.message(at)));
        }
    }
}

#[test]
fn answer_stays_with_the_batch() {
    let mut batch = Batch::new();
    batch.begin().finish().unwrap();
    let index = Index::new(rows(&["TRUE".to_owned(), "FALSE".to_owned()]));
    let first = index.evaluate(&batch);
    assert!(Arc::ptr_eq(&first, &index.evaluate(&batch)));
    assert_eq!((first.of(0), first.of(1), first.of(2)), (&[0][..], &[][..], &[][..]));
    let other = Index::new(rows(&["FALSE".to_owned()]));
    assert_ne!(index.generation(), other.generation());
    assert!(other.evaluate(&batch).is_empty_for(0));
}

#[test]
fn many_bounds_on_one_number_are_met_exactly() {
    let mut batch = Batch::new();
    for value in -5..105 {
        let mut message = batch.begin();
        message.integer("n", "", value).double("d", "", value as f64 / 2.0);
        message.finish().unwrap();
    }
    let tests = (0..100).flat_map(|at| {
        [
            format!("Fields[n] >= {at} && Fields[n] < {}", at + 3),
            format!("Fields[n] > {at}.5"),
            format!("Fields[d] <= {at}"),
            format!("Fields[d] > {at} && Fields[d] < {at}"),
            format!("Fields[d] > {at} && Fields[d] <= {at}.5 && Fields[n] != 7"),
        ]
    });
    let rows = rows(&tests.collect::<Vec<_>>());
    check(&rows, &batch, |id, at| rows[id].matcher.matches(&batch.message(at)));
}

#[test]
fn many_patterns_are_searched_at_once() {
    let mut batch = Batch::new();
    for at in 0..50 {
        let mut message = batch.begin();
        let text = format!("GET /page/{at} timeout TIMEOUT word{}", at % 7);
        message.payload(text.repeat(3).as_bytes());
        message.finish().unwrap();
    }
    let tests = (0..40).flat_map(|at| {
        [
            format!("Payload =~ /page\\/{at} /"),
            format!("Payload =~ /page\\/{at}\\d/"),
            format!("Payload =~ /(?i)Time.*WORD{at}/"),
            format!("Payload !~ /page\\/{at}/"),
            format!("Payload =~ /word{at}$/ && Payload =~ /^GET/"),
            format!("Payload =~ /word{at}/ || Fields[none] =~ /word{at}/"),
        ]
    });
    let rows = rows(&tests.collect::<Vec<_>>());
    check(&rows, &batch, |id, at| rows[id].matcher.matches(&batch.message(at)));
}
