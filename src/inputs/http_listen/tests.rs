//! Requests over loopback.

use std::io::Write;

use super::*;
use crate::inputs::testing::Desk as TestDesk;

struct Served {
    desk: TestDesk,
    url: String,
    running: tokio::task::JoinHandle<anyhow::Result<()>>,
}

async fn start(settings: &str) -> Served {
    let input: HttpListenInput = toml::from_str(settings).unwrap();
    let desk = TestDesk::new("http");
    let cx = desk.context();
    let address = Address::stream(StreamNet::Tcp, "127.0.0.1:0").unwrap();
    let options = ListenOptions { keep_alive: None, max_connections: 8, tls: None, mode: None };
    let listener = Listener::bind(&address, options).await.unwrap();
    let url = format!("http://{}", listener.local_address().unwrap());
    let requests = Arc::new(Desk::new(&input, &cx).unwrap());
    Served { desk, url, running: tokio::spawn(serve(listener, requests, cx)) }
}

fn client() -> reqwest::Client {
    http::client(None, http::ClientOptions::default()).unwrap()
}

async fn check(
    settings: &str,
    request: impl Fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    expected: (u16, &[&str]),
) {
    let served = start(settings).await;
    let answer = request(client().post(&served.url)).send().await.unwrap();
    let texts: Vec<_> = served.desk.delivered().into_iter().map(|one| one.text).collect();
    assert_eq!(
        (answer.status().as_u16(), &texts[..]),
        (expected.0, &expected.1.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()[..])
    );
    served.desk.stopping.cancel();
    served.running.await.unwrap().unwrap();
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bodies_are_taken_packed_or_not_up_to_their_bound() {
    check("", |request| request.body("one"), (200, &["one"])).await;
    let packed = |text: &'static [u8]| {
        move |request: reqwest::RequestBuilder| {
            request.header("content-encoding", "gzip").body(gzip(text))
        }
    };
    check("", packed(b"two"), (200, &["two"])).await;
    let small = "max_body_bytes = 100";
    check(small, |request| request.body("x".repeat(101)), (413, &[])).await;
    check(small, packed(&[b'x'; 101]), (413, &[])).await;
    check("", |request| request.header("content-encoding", "gzip").body("no"), (400, &[])).await;
    check("", |request| request.header("content-encoding", "br").body("no"), (415, &[])).await;
}

#[tokio::test]
async fn who_has_no_key_is_refused_and_not_heard() {
    let basic = "auth_type = 'Basic'\nusername = 'u'\npassword = 'p'";
    check(basic, |request| request.body("x"), (401, &[])).await;
    check(basic, |request| request.basic_auth("u", Some("wrong")).body("x"), (401, &[])).await;
    check(basic, |request| request.basic_auth("u", Some("p")).body("x"), (200, &["x"])).await;
    let api = "auth_type = 'API'\napi_key = 'k'";
    check(api, |request| request.header("X-API-KEY", "kk").body("x"), (401, &[])).await;
    check(api, |request| request.header("X-API-KEY", "k").body("x"), (200, &["x"])).await;
}

#[tokio::test]
async fn request_says_where_it_comes_from_and_answer_has_the_headers() {
    let served = start("headers = { x-answer = 'yes' }\nrequest_headers = ['X-Trace']").await;
    let request = client().post(format!("{}/path?a=1&b=two%20words", served.url));
    let request = request.header("X-Trace", "t").header("user-agent", "agent").body("text");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["x-answer"], "yes");
    let one = &served.desk.delivered()[0];
    assert_eq!(one.origin.message_type, b"heka.httpdata.request");
    assert_eq!((one.origin.severity, &one.origin.env_version[..]), (Some(6), &b"1"[..]));
    let mut expected = Origin::default();
    let host = served.url.trim_start_matches("http://");
    for (name, value) in [
        ("Protocol", "HTTP/1.1"),
        ("UserAgent", "agent"),
        ("ContentType", ""),
        ("Path", "/path"),
        ("Host", host),
        ("RemoteAddr", "127.0.0.1"),
        ("x-trace", "t"),
        ("a", "1"),
        ("b", "two words"),
    ] {
        expected.push(name, "", Value::String(value.as_bytes()));
    }
    assert_eq!(one.origin.fields(), expected.fields());
    served.desk.stopping.cancel();
    served.running.await.unwrap().unwrap();
}

#[test]
fn settings_without_a_key_are_refused() {
    let desk = TestDesk::new("http");
    for text in ["auth_type = 'Basic'\nusername = 'u'", "auth_type = 'API'"] {
        let input: HttpListenInput = toml::from_str(text).unwrap();
        assert!(Desk::new(&input, &desk.context()).is_err(), "{text}");
    }
}
