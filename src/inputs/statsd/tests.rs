//! What was sent, and what goes into the journal.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;

use super::*;
use crate::inputs::testing::Desk;
use crate::message::Message;
use crate::message::Value;
use crate::net::Connector;
use crate::net::DatagramNet;
use crate::net::StreamNet;
use crate::net::datagram::Sender;

fn gathered(signed_gauges: bool) -> Gathered {
    let writer = Writer::new("accum", Desk::new("statsd").context().origin("x"), 65_536);
    Gathered::new(writer, signed_gauges, Arc::default())
}

/// Each number as `name=value modifier @sampling member`.
fn numbers(message: &Message<'_>) -> Vec<String> {
    let column = |name: &[u8]| {
        let field = message.field(name, 0);
        field.map(|field| field.values().map(|value| show(&value)).collect::<Vec<_>>())
    };
    let (names, values) = (column(b"name").unwrap(), column(b"value").unwrap());
    let at = |column: &Option<Vec<String>>, index: usize, prefix: &str| match column {
        Some(column) => format!(" {prefix}{}", column[index]),
        None => String::new(),
    };
    let (modifiers, sampling) = (column(b"modifier"), column(b"sampling"));
    let members = column(b"member");
    let one = |index: usize| {
        let rest =
            at(&modifiers, index, "") + &at(&sampling, index, "@") + &at(&members, index, "#");
        format!("{}={}{rest}", names[index], values[index])
    };
    (0..names.len()).map(one).collect()
}

fn show(value: &Value<'_>) -> String {
    match value {
        Value::Double(number) => number.to_string(),
        value => String::from_utf8_lossy(value.as_bytes().unwrap()).into_owned(),
    }
}

fn check(lines: &str, signed_gauges: bool, expected: &[&str]) {
    let mut gathered = gathered(signed_gauges);
    gathered.take(lines.as_bytes());
    let batch = gathered.flush().unwrap();
    assert!(gathered.flush().is_none());
    let found: Vec<String> = batch.iter().flat_map(|message| numbers(&message)).collect();
    assert_eq!(found, expected, "{lines}");
}

#[test]
fn counters_and_gauges_are_added_up_and_the_rest_is_kept() {
    check("a:1|c\nb:2|c|@0.5\na:3|c\r\n\n", true, &["a=4", "b=4"]);
    check(
        "t:1|ms\nt:2:3|ms|@0.5\nh:1|h|#x:y\ns:bob|s\ns:al|s\ns:bob|s",
        true,
        &[
            "t=1 ms @1 #",
            "t=2 ms @0.5 #",
            "t=3 ms @0.5 #",
            "h;x=y=1 h @1 #",
            "s=1 s @1 #al",
            "s=1 s @1 #bob",
        ],
    );
    check("g:5|g\ng:+3|g\ng:-1|g\nd:-2|g", true, &["g=7 g", "d=-2 g+"]);
    check("g:5|g\ng:-1|g", false, &["g=-1 g"]);
}

#[test]
fn numbers_are_there_once_and_names_of_tags_in_any_order_are_one_name() {
    let mut gathered = gathered(true);
    gathered.take(b"a:1|c|#x:1,y:2\n");
    assert_eq!(numbers(&gathered.flush().unwrap().message(0)), ["a;x=1;y=2=1"]);
    assert!(gathered.flush().is_none());
    gathered.take(b"a:1|c|#y:2,x:1\nbad\n");
    assert_eq!(numbers(&gathered.flush().unwrap().message(0)), ["a;x=1;y=2=1"]);
}

#[test]
fn many_numbers_go_into_several_messages() {
    let mut gathered = gathered(true);
    for number in 0..5_000 {
        gathered.take(format!("name.{number}:1|c\n").as_bytes());
    }
    let batch = gathered.flush().unwrap();
    assert!(batch.len() > 1);
    assert!(batch.iter().all(|message| message.bytes().len() < 60_000));
    assert_eq!(batch.iter().map(|message| numbers(&message).len()).sum::<usize>(), 5_000);
}

#[test]
fn events_and_service_checks_are_messages() {
    let mut gathered = gathered(true);
    gathered.take(b"_e{2,6}:Up|a\\nb c|d:5|h:web|t:error|#env:t\n_sc|db|1|#x|m:slow\na:1|c");
    let batch = gathered.flush().unwrap();
    let event = batch.message(0);
    assert_eq!((event.message_type(), event.payload()), (&b"statsd.event"[..], &b"a\nb c"[..]));
    assert_eq!((event.timestamp(), event.severity()), (5_000_000_000, 3));
    assert_eq!(event.hostname(), b"web");
    assert_eq!(event.value(b"title", 0, 0), Some(Value::String(b"Up")));
    assert_eq!(event.value(b"env", 0, 0), Some(Value::String(b"t")));
    let check = batch.message(1);
    assert_eq!(check.message_type(), b"statsd.service_check");
    assert_eq!((check.payload(), check.severity()), (&b"slow"[..], 4));
    assert_eq!(check.value(b"check", 0, 0), Some(Value::String(b"db")));
    assert_eq!(check.value(b"status", 0, 0), Some(Value::Integer(1)));
    assert_eq!(numbers(&gathered.flush().unwrap().message(0)), ["a=1"]);
}

/// The numbers of the first message that was delivered.
async fn sent(desk: &Desk) -> Vec<String> {
    let batches = desk.wait_for_messages(1).await;
    numbers(&batches[0].message(0))
}

fn settings(text: &str) -> StatsdInput {
    toml::from_str(text).unwrap()
}

#[tokio::test]
async fn datagrams_and_streams_are_taken() {
    let input = settings("flush_interval = 1");
    let address = Address::datagram(DatagramNet::Udp, "127.0.0.1:0").unwrap();
    let receiver = Receiver::bind(&address, None).await.unwrap();
    let bound = receiver.local_address().unwrap().to_string();
    let desk = Desk::new("statsd");
    let cx = desk.context();
    let stream = cx.stream(cx.origin("x"), None).await.unwrap();
    let intake = Intake::new(&input, stream, &cx);
    let running = tokio::spawn(async move { receive(receiver, intake, &cx).await });
    let target = Address::datagram(DatagramNet::Udp, &bound).unwrap();
    Sender::open(&target, None).await.unwrap().send(b"a:1|c\nb:2|c").await.unwrap();
    assert_eq!(sent(&desk).await, ["a=1", "b=2"]);
    desk.stopping.cancel();
    running.await.unwrap().unwrap();

    let desk = Desk::new("statsd");
    let cx = desk.context();
    let address = Address::stream(StreamNet::Tcp, "127.0.0.1:0").unwrap();
    let options = ListenOptions { keep_alive: None, max_connections: 8, tls: None, mode: None };
    let listener = Listener::bind(&address, options).await.unwrap();
    let bound = listener.local_address().unwrap().to_string();
    let stream = cx.stream(cx.origin("x"), None).await.unwrap();
    let intake = Intake::new(&settings("flush_interval = '1h'"), stream, &cx);
    let running = tokio::spawn(serve(listener, intake, cx));
    let target = Address::stream(StreamNet::Tcp, &bound).unwrap();
    let mut connection = Connector::new(target).connect().await.unwrap();
    connection.write_all(b"a:1|c\na:").await.unwrap();
    connection.write_all(b"2|c\nb:1|c").await.unwrap();
    connection.shutdown().await.unwrap();
    // What is gathered is flushed at the end.
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut rest).await.unwrap();
    desk.stopping.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(sent(&desk).await, ["a=3", "b=1"]);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let error = settings("flush_interval = 0").check().unwrap_err();
    assert_eq!(error.to_string(), "`flush_interval` has to be above 0");
    assert!(settings("address = 'nowhere'").check().is_err());
}
