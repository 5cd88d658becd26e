//! Tests against a server that answers as the bulk API is documented to.

use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::extract::Request;
use reqwest::StatusCode;

use super::*;
use crate::outputs::testing;

/// What a server heard: the URI, the header of who it is, and the body.
type Heard = Arc<Mutex<Vec<(String, String, String)>>>;

/// A server that gives each document the status it is: `400`, `429`, or what else stands in it.
async fn server(heard: Heard) -> std::net::SocketAddr {
    let hear = move |request: Request| {
        let heard = heard.clone();
        async move {
            let (parts, body) = request.into_parts();
            let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let body = String::from_utf8(bytes.to_vec()).unwrap();
            let documents: Vec<u16> =
                body.lines().skip(1).step_by(2).map(|line| line.parse().unwrap()).collect();
            let who = parts.headers.get("authorization");
            let who = who.map_or("", |value| value.to_str().unwrap()).to_owned();
            heard.lock().unwrap().push((parts.uri.to_string(), who, body));
            if let Some(whole) = documents.iter().find(|status| **status >= 900) {
                let status = StatusCode::from_u16(whole - 500).unwrap();
                return (status, "all of it".to_owned());
            }
            let item = |status: &u16| {
                let error = r#","error":{"type":"t","reason":"r"}"#;
                let error = if *status < 400 { "" } else { error };
                format!(r#"{{"index":{{"status":{status}{error}}}}}"#)
            };
            let items: Vec<_> = documents.iter().map(item).collect();
            let errors = documents.iter().any(|status| *status >= 400);
            (StatusCode::OK, format!(r#"{{"errors":{errors},"items":[{}]}}"#, items.join(",")))
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        axum::serve(listener, Router::new().fallback(hear)).await.unwrap();
    });
    address
}

async fn open(settings: &str) -> ElasticSearchOutput {
    let mut output: ElasticSearchOutput = toml::from_str(settings).unwrap();
    output.open(&testing::context("es")).await.unwrap();
    output
}

fn documents(statuses: &[&str]) -> Load {
    let records: Vec<_> = statuses.iter().map(|status| format!("{{}}\n{status}\n")).collect();
    testing::load(&records.iter().map(String::as_bytes).collect::<Vec<_>>())
}

fn sent(heard: &Heard) -> Vec<String> {
    let bodies = heard.lock().unwrap();
    bodies.iter().map(|(.., body)| body.replace("{}\n", "").replace('\n', " ")).collect()
}

#[tokio::test]
async fn each_document_has_a_fate_of_its_own() {
    let heard = Heard::default();
    let address = server(heard.clone()).await;
    let mut output = open(&format!("server = 'http://{address}/es/'\npipeline = 'p'")).await;
    let mut load = documents(&["201", "429", "400", "201", "404", "503", "200"]);
    for _ in 0..2 {
        let Err(Failure::Reject(error)) = output.send(&mut load).await else { panic!() };
        assert!(error.to_string().starts_with("the document is refused with 40"), "{error}");
        load.advance(1);
    }
    assert_eq!(load.rest(), b"{}\n429\n{}\n503\n");
    let Err(Failure::Retry(error)) = output.send(&mut load).await else { panic!() };
    assert_eq!(
        format!("{error:#}"),
        "2 of 2 documents have to wait: the document is refused with 429: t: r"
    );
    assert_eq!(sent(&heard), ["201 429 400 201 404 503 200 ", "429 503 "]);
    let uri = heard.lock().unwrap()[0].0.clone();
    assert!(
        uri.starts_with("/es/_bulk?filter_path=errors") && uri.ends_with("&pipeline=p"),
        "{uri}"
    );
}

#[tokio::test]
async fn a_whole_request_may_be_refused_or_put_off() {
    let heard = Heard::default();
    let address = server(heard.clone()).await;
    let mut output = open(&format!("server = 'http://{address}'\napi_key = 'k'")).await;
    let mut load = documents(&["200", "201", "900"]);
    let Err(Failure::Reject(error)) = output.send(&mut load).await else { panic!() };
    assert!(error.to_string().ends_with("answered 400 Bad Request: all of it"), "{error}");
    assert_eq!(load.first(), 2);
    assert_eq!(sent(&heard), ["200 201 900 ", "200 201 ", "900 "]);
    assert_eq!(heard.lock().unwrap()[0].1, "ApiKey k");
    for (status, part) in [("901", "look at `username`"), ("929", "429"), ("1003", "503")] {
        let mut load = documents(&["200", status]);
        let Err(Failure::Retry(error)) = output.send(&mut load).await else { panic!() };
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(load.first(), 0);
    }
}

#[tokio::test]
async fn a_request_has_a_size_and_learns_a_smaller_one() {
    let heard = Heard::default();
    let address = server(heard.clone()).await;
    let mut output = open(&format!("server = 'http://{address}'\nmax_batch_bytes = 15")).await;
    output.send(&mut documents(&["200", "201", "202"])).await.unwrap();
    assert_eq!(sent(&heard), ["200 201 ", "202 "]);
    let mut load = documents(&["200", "913"]);
    let Err(Failure::Reject(_)) = output.send(&mut load).await else { panic!() };
    output.send(&mut documents(&["200", "201"])).await.unwrap();
    assert_eq!(sent(&heard)[2..], ["200 913 ", "200 ", "913 ", "200 ", "201 "]);
}

#[tokio::test]
async fn nodes_take_turns_and_one_that_is_away_is_left_out() {
    let (one, two) = (Heard::default(), Heard::default());
    let away = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = away.local_addr().unwrap();
    drop(away);
    let (first, second) = (server(one.clone()).await, server(two.clone()).await);
    let settings = format!("servers = ['http://{first}', 'http://{nowhere}', 'http://{second}']");
    let mut output = open(&settings).await;
    for status in ["200", "201", "202"] {
        output.send(&mut documents(&[status])).await.unwrap();
    }
    assert_eq!((sent(&one), sent(&two)), (vec!["200 ".into(), "202 ".into()], vec!["201 ".into()]));
    let mut output = open(&format!("server = 'http://{nowhere}'")).await;
    let Err(Failure::Retry(error)) = output.send(&mut documents(&["200"])).await else { panic!() };
    assert!(error.to_string().starts_with("cannot reach http://127.0.0.1"), "{error:#}");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (settings, expected) in [
        ("server = 'udp://localhost:9700'", "takes no datagrams since version 2"),
        ("server = 'localhost:9200'", "is no address for http"),
        ("api_key = 'a'\nusername = 'b'", "only one can be used"),
        ("flush_interval = 'x'", "`x`"),
    ] {
        let error = toml::from_str::<ElasticSearchOutput>(settings).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
