//! Tests of what is asked again and again.

use std::collections::VecDeque;

use super::*;
use crate::inputs::testing::Delivered;
use crate::inputs::testing::Desk;

/// A daemon that answers as it is told to, and then stops the engine.
struct Scripted {
    answers: VecDeque<Result<u64, &'static str>>,
    desk: Desk,
}

#[async_trait]
impl Daemon for Scripted {
    async fn ask(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let Some(answer) = self.answers.pop_front() else {
            self.desk.stopping.cancel();
            std::future::pending::<()>().await;
            return Ok(());
        };
        let mut message = report.begin("stats.test");
        message.payload(b"counts");
        Report::finish(message);
        answer.map(drop).map_err(anyhow::Error::msg)
    }
}

/// What is delivered while a daemon answers like that.
async fn delivered(desk: &Desk, answers: &[Result<u64, &'static str>]) -> Vec<(String, String)> {
    let before = desk.delivered().len();
    let daemon = Scripted { answers: answers.iter().copied().collect(), desk: desk.clone() };
    let watched =
        Watched { daemon: "test", address: "here".to_owned(), timeout: Duration::from_mins(1) };
    watch(desk.context(), watched, daemon).await.unwrap();
    let told = |one: &Delivered| {
        (String::from_utf8_lossy(&one.origin.message_type).into_owned(), one.text.clone())
    };
    desk.delivered()[before..].iter().map(told).collect()
}

#[tokio::test]
async fn a_daemon_is_down_once_and_back_once_also_over_a_restart() {
    let mut desk = Desk::new("watched");
    desk.ticker_interval = Duration::from_millis(1);
    let told = delivered(&desk, &[Ok(1), Err("refused"), Err("refused"), Ok(2), Err("gone")]).await;
    let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["stats.test", "daemon.down", "stats.test", "daemon.up", "daemon.down"]);
    assert_eq!(told[1].1, "test at here is down: refused");
    assert!(told[3].1.starts_with("test at here is back after "), "{}", told[3].1);
    let again = desk.restarted();
    let told = delivered(&again, &[Err("still gone"), Ok(1), Ok(2)]).await;
    let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["stats.test", "daemon.up", "stats.test"]);
}

#[test]
fn rates_count_from_the_second_round_and_begin_anew_with_the_daemon() {
    let mut report = Report::new(crate::plugin::Origin::default());
    let mut rate = |elapsed, count| {
        report.start_after(elapsed);
        let rate = report.rate("hits", count);
        report.take();
        rate
    };
    assert_eq!(rate(1.0, 10.0), None);
    assert_eq!(rate(2.0, 30.0), Some(10.0));
    assert_eq!(rate(2.0, 5.0), None);
    assert_eq!(rate(2.0, 6.0), Some(0.5));
}
