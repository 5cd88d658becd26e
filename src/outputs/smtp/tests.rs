//! Tests against a server that says what it is told to.

use std::sync::Arc;
use std::sync::Mutex;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;

use super::*;
use crate::outputs::testing;

/// What a server heard, line by line.
type Heard = Arc<Mutex<Vec<String>>>;

/// A server that answers each line by the first rule it begins with; in the data of a mail only the
/// dot is answered.
async fn server(rules: &'static [(&'static str, &'static str)]) -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let heard = Heard::default();
    let own = heard.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 here\r\n").await.unwrap();
            let mut is_data = false;
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|count| count > 0) {
                let text = std::mem::take(&mut line).trim_end().to_owned();
                own.lock().unwrap().push(text.clone());
                if is_data && text != "." {
                    continue;
                }
                is_data = text == "DATA";
                let rule = rules.iter().find(|(start, _)| text.starts_with(start));
                let usual = if is_data { "354 go on" } else { "250 well" };
                let answer = rule.map_or(usual, |(_, answer)| answer);
                if stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    (host, heard)
}

async fn open(host: &str, settings: &str) -> SmtpOutput {
    let text = format!("host = '{host}'\nsend_to = ['Ops <a@b>', 'c@d']\n{settings}");
    let mut output: SmtpOutput = toml::from_str(&text).unwrap();
    output.open(&testing::context("mail")).await.unwrap();
    output
}

#[tokio::test]
async fn each_record_is_a_mail() {
    let (host, heard) = server(&[("AUTH", "235 yes")]).await;
    let mut output = open(&host, "auth = 'Plain'\nuser = 'me'\npassword = 'secret'").await;
    output.send(&mut testing::lines("one\ntwo\n")).await.unwrap();
    let heard = heard.lock().unwrap();
    let begin = ["AUTH PLAIN AG1lAHNlY3JldA==", "MAIL FROM:<heka@localhost.localdomain>"];
    assert_eq!(heard[1..3], begin);
    assert_eq!(heard[3..6], ["RCPT TO:<a@b>", "RCPT TO:<c@d>", "DATA"]);
    assert!(heard.contains(&"Subject: Heka [mail]".to_owned()), "{heard:?}");
    assert!(heard.contains(&"b25lCg==".to_owned()), "{heard:?}");
    assert!(heard.contains(&"dHdvCg==".to_owned()), "{heard:?}");
    assert_eq!(heard.iter().filter(|line| *line == "QUIT").count(), 2);
}

#[tokio::test]
async fn all_of_an_interval_is_one_mail() {
    let (host, heard) = server(&[]).await;
    let mut output = open(&host, "send_interval = 60\nsubject = \"%{Type}\\r\\nBcc: x@y\"").await;
    assert_eq!(output.batching().unwrap().interval.as_secs(), 60);
    let mut load = testing::lines("one\ntwo\n");
    load.messages = testing::messages(&[("größer", None), ("b", None)]);
    output.send(&mut load).await.unwrap();
    let heard = heard.lock().unwrap();
    assert!(heard.contains(&"b25lCnR3bwo=".to_owned()), "{heard:?}");
    let subject = heard.iter().find(|line| line.starts_with("Subject: ")).unwrap();
    assert!(subject.starts_with("Subject: =?utf-8?B?Z3LDtsOfZXIgIEJjYzogeEB5"), "{subject}");
    assert!(!heard.iter().any(|line| line.starts_with("Bcc")), "{heard:?}");
}

#[tokio::test]
async fn what_the_server_says_decides() {
    for (rules, settings, expected) in [
        (&[("RCPT", "550 nobody")][..], "", "for good: refuses to send to c@d: 550 nobody"),
        (&[("RCPT TO:<a", "550 nobody")][..], "", "taken"),
        (&[(".", "554 spam")][..], "", "for good: does not take the mail: 554 spam"),
        (&[(".", "451 later")][..], "", "for now: does not take the mail: 451 later"),
        (&[("MAIL", "530 who?")][..], "", "for now: refuses the sender"),
        (
            &[("AUTH", "535 no")][..],
            "auth = 'Plain'\nuser = 'u'\npassword = 'p'",
            "for now: does not know the user (look at `user` and `password`): 535 no",
        ),
        (&[][..], "security = 'starttls'", "for now: does not offer STARTTLS"),
        (&[("EHLO", "what?")][..], "", "for now: speaks no smtp: what?"),
    ] {
        let (host, _) = server(rules).await;
        let mut output = open(&host, settings).await;
        let mut load = testing::lines("one\n");
        let found = match output.send(&mut load).await {
            Ok(_) => "taken".to_owned(),
            Err(Failure::Retry(error)) => format!("for now: {error:#}"),
            Err(Failure::Reject(error)) => format!("for good: {error:#}"),
            Err(other) => panic!("{other:?}"),
        };
        let found = found.replace(&format!("{host} "), "");
        assert!(found.starts_with(expected), "{found}");
    }
}

#[tokio::test]
async fn a_mail_that_is_refused_refuses_all_that_is_in_it() {
    let (host, _) = server(&[(".", "552 too large")]).await;
    let mut output = open(&host, "send_interval = 60").await;
    let mut load = testing::lines("one\ntwo\n");
    for _ in 0..2 {
        assert!(matches!(output.send(&mut load).await, Err(Failure::Reject(_))));
        load.advance(1);
    }
    assert_eq!(output.send(&mut load).await.unwrap(), Sent::Done);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (settings, expected) in [
        ("send_to = []", "`send_to` names nobody"),
        ("send_to = ['nobody']", "`nobody` is no address of mail"),
        ("send_to = ['a@b']\nauth = 'Plain'", "`user` or `password` is missing"),
        (
            "send_to = ['a@b']\nauth = 'Plain'\nuser = 'a'\npassword = 'b'\nhost = 'mail:25'",
            "for all to read",
        ),
        ("send_to = ['a@b']\ntls = {}", "`security` does not ask for it"),
    ] {
        let error = toml::from_str::<SmtpOutput>(settings).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
