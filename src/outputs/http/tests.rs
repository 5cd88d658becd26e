//! Tests of the HTTP output.

use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap as Headers;
use axum::response::IntoResponse;
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;

use super::*;
use crate::outputs::testing;

/// What a server heard: method, path, headers, body.
type Heard = Arc<Mutex<Vec<(String, String, Headers, String)>>>;

/// A server that answers what `answer` says to each body.
async fn server(answer: fn(&str) -> (u16, &'static str)) -> (String, Heard) {
    let heard = Heard::default();
    let own = heard.clone();
    let hear = move |request: Request| {
        let own = own.clone();
        async move {
            let (parts, body) = request.into_parts();
            let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let body = String::from_utf8_lossy(&bytes).into_owned();
            let (status, retry_after) = answer(&body);
            let path = parts.uri.to_string();
            own.lock().unwrap().push((parts.method.to_string(), path, parts.headers, body));
            let status = StatusCode::from_u16(status).unwrap();
            (status, [(RETRY_AFTER, retry_after)], "the reason\n").into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("address = 'http://{}/new?key=x'", listener.local_addr().unwrap());
    tokio::spawn(async move {
        axum::serve(listener, Router::new().fallback(hear)).await.unwrap();
    });
    (url, heard)
}

async fn open(settings: &str) -> HttpOutput {
    let mut output: HttpOutput = toml::from_str(settings).unwrap();
    output.open(&testing::context("http")).await.unwrap();
    output
}

fn bodies(heard: &Heard) -> Vec<String> {
    heard.lock().unwrap().iter().map(|(.., body)| body.clone()).collect()
}

fn answer(body: &str) -> (u16, &'static str) {
    match body.trim_end() {
        "busy" => (429, "0"),
        "gone" => (410, "Sun, 06 Nov 1994 08:49:37 GMT"),
        "who" => (401, ""),
        _ if body.len() > 40 => (413, ""),
        "broken" => (503, ""),
        _ if body.contains("bad") => (400, ""),
        _ => (200, ""),
    }
}

/// As [`server`], with an answer that lists errors where a `wrong` is told.
async fn listing_server() -> String {
    let answer = |body: String| async move {
        let errors = if body.contains("wrong") { r#"["a wrong one"]"# } else { "[]" };
        (StatusCode::ACCEPTED, format!("{{\"errors\":{errors}}}"))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("address = 'http://{}'", listener.local_addr().unwrap());
    tokio::spawn(async move {
        axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
    });
    url
}

#[tokio::test]
async fn errors_in_an_answer_refuse_the_record() {
    let url = listing_server().await;
    let mut output = open(&format!("{url}\nbatch = true\nerrors_member = 'errors'")).await;
    let mut load = testing::lines("one\ntwo\nwrong\nfour\n");
    let Err(Failure::Reject(error)) = output.send(&mut load).await else { panic!("not refused") };
    assert!(error.to_string().contains("a wrong one"), "{error}");
    assert_eq!(load.first(), 2);
    load.advance(1);
    assert_eq!(output.send(&mut load).await.unwrap(), Sent::Done);
    let mut output = open(&format!("{url}\nbatch = true")).await;
    assert_eq!(output.send(&mut testing::lines("wrong\n")).await.unwrap(), Sent::Done);
}

#[tokio::test]
async fn each_record_is_a_request() {
    let (url, heard) = server(answer).await;
    let mut output = open(&format!(
        "{url}\nmethod = 'put'\nusername = 'me'\npassword = 'secret'\nhttp_timeout = '5s'\n\
         [headers]\nContent-Type = 'text/plain'\nX-Many = ['1', '2']"
    ))
    .await;
    assert_eq!(output.send(&mut testing::lines("one\ntwo\n")).await.unwrap(), Sent::Done);
    assert_eq!(bodies(&heard), ["one\n", "two\n"]);
    let heard = heard.lock().unwrap();
    let (method, path, headers, _) = &heard[0];
    assert_eq!((method.as_str(), path.as_str()), ("PUT", "/new?key=x"));
    assert_eq!(headers["content-type"], "text/plain");
    assert_eq!(headers["authorization"], "Basic bWU6c2VjcmV0");
    assert_eq!(headers.get_all("x-many").iter().collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn the_status_says_whether_a_record_comes_again() {
    let (url, _) = server(answer).await;
    let mut output = open(&url).await;
    for text in ["busy\n", "broken\n", "who\n", "gone\n"] {
        let mut load = testing::lines(&format!("good\n{text}good\n"));
        let failure = output.send(&mut load).await.unwrap_err();
        assert!(matches!(failure, Failure::Retry(_)), "{failure:?}");
        assert_eq!(load.first(), 1);
    }
    let mut load = testing::lines("good\nbad\n");
    let Err(Failure::Reject(error)) = output.send(&mut load).await else { panic!() };
    assert_eq!(load.first(), 1);
    let text = error.to_string();
    assert!(text.ends_with("/new answered 400 Bad Request: the reason"), "{text}");
}

#[tokio::test]
async fn a_batch_is_one_request_unless_it_is_refused() {
    let (url, heard) = server(answer).await;
    let mut output = open(&format!("{url}\nbatch = true")).await;
    output.send(&mut testing::lines("one\ntwo\n")).await.unwrap();
    assert_eq!(bodies(&heard), ["one\ntwo\n"]);
    let mut load = testing::lines("three\nbad\nfour\n");
    assert!(matches!(output.send(&mut load).await, Err(Failure::Reject(_))));
    load.advance(1);
    output.send(&mut load).await.unwrap();
    assert_eq!(
        bodies(&heard)[1..],
        ["three\nbad\nfour\n", "three\nbad\n", "three\n", "bad\nfour\n", "bad\n", "four\n"]
    );
}

#[tokio::test]
async fn a_batch_has_an_envelope_and_limits() {
    let (url, heard) = server(answer).await;
    let mut output = open(&format!(
        "{url}\nbatch = true\nbatch_start = '{{['\nbatch_between = ','\nbatch_end = ']}}'\n\
         max_batch_count = 2"
    ))
    .await;
    output.send(&mut testing::lines("1\n2\n3\n")).await.unwrap();
    assert_eq!(bodies(&heard), ["{[1,2]}", "{[3]}"]);
    let mut output = open(&format!("{url}\nbatch = true\nmax_batch_bytes = 8")).await;
    output.send(&mut testing::lines("1111\n22\n33333333333\n")).await.unwrap();
    assert_eq!(bodies(&heard)[2..], ["1111\n22\n", "33333333333\n"]);
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved_from_then_on() {
    let (url, heard) = server(answer).await;
    let mut output = open(&format!("{url}\nbatch = true")).await;
    let line = "123456789\n";
    output.send(&mut testing::lines(&line.repeat(9))).await.unwrap();
    let sizes: Vec<_> = bodies(&heard).iter().map(|body| body.len() / line.len()).collect();
    assert_eq!(sizes, [9, 5, 3, 3, 3]);
}

#[tokio::test]
async fn a_compressed_body_says_so() {
    let (url, heard) = server(|_| (200, "")).await;
    for (name, magic) in [("gzip", "\u{1f}"), ("deflate", "x"), ("zstd", "(")] {
        let mut output = open(&format!("{url}\ncompression = '{name}'")).await;
        output.send(&mut testing::lines("one\n")).await.unwrap();
        let heard = heard.lock().unwrap();
        let (_, _, headers, body) = heard.last().unwrap();
        assert_eq!(headers["content-encoding"], name);
        assert!(body.starts_with(magic), "{body:?}");
    }
}

#[tokio::test]
async fn address_and_headers_are_filled_from_the_message() {
    let (url, heard) = server(answer).await;
    let url = url.replace("/new?key=x", "/%{Type}/%{%Y}");
    let mut output = open(&format!("{url}\nbatch = true\nheaders = {{ X-Host = '%{{h}}' }}")).await;
    assert!(output.reads_messages());
    let mut load = testing::lines("1\n2\n3\n4\n");
    load.messages =
        testing::messages(&[("a b", Some("x")), ("a b", Some("x")), ("c", Some("y")), ("c", None)]);
    let Err(Failure::Reject(error)) = output.send(&mut load).await else { panic!() };
    assert_eq!(error.to_string(), "the message has no `h`, which `%{h}` asks for");
    assert_eq!(load.first(), 3);
    assert_eq!(bodies(&heard), ["1\n2\n", "3\n"]);
    let heard = heard.lock().unwrap();
    assert_eq!(
        (heard[0].1.as_str(), &heard[0].2["x-host"]),
        ("/a%20b/1970", &"x".parse().unwrap())
    );
    assert_eq!((heard[1].1.as_str(), &heard[1].2["x-host"]), ("/c/1970", &"y".parse().unwrap()));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_worth_a_retry() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut output = open(&format!("address = 'http://{address}'")).await;
    let failure = output.send(&mut testing::lines("one\n")).await.unwrap_err();
    assert!(matches!(failure, Failure::Retry(_)), "{failure:?}");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (settings, expected) in [
        ("address = 'nowhere'", "`nowhere` is no url"),
        ("address = 'udp://nowhere'", "is no address for http"),
        ("address = 'http://a'\nmethod = 'A B'", "`A B` is no method"),
        ("address = 'http://a'\n[headers]\n'a b' = 'x'", "`a b` is no name of a header"),
        ("address = 'http://a'\n[headers]\na = \"x\\ny\"", "the value of the header `a`"),
        ("address = 'http://a'\n[headers]\na = 1", "expected a text, a list of texts"),
        ("address = 'x%{Type}'", "is no address for http"),
        ("address = 'http://a/%{%!}'", "is no pattern of strftime"),
        ("address = 'http://a'\ncompression = 'br'", "unknown variant `br`"),
    ] {
        let error = toml::from_str::<HttpOutput>(settings).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(expected), "{error}");
    }
}
