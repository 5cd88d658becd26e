//! Tests of what is shown.

use super::*;
use crate::outputs::testing;

fn output(settings: &str) -> PrometheusOutput {
    toml::from_str(settings).unwrap()
}

fn text(output: &PrometheusOutput, later: Duration) -> String {
    locked(&output.shown).text(Instant::now() + later, output.expire_after)
}

#[tokio::test]
async fn the_last_number_of_each_series_is_shown() {
    let mut output = output("");
    let mut load = testing::load(&[
        b"# TYPE b counter\nb{y=\"2\",x=\"1\"} 1 10\na 0.5\n",
        b"b{x=\"1\",y=\"2\"} 3 20\nb{x=\"\\\"\\n\"} +Inf\n",
    ]);
    output.send(&mut load).await.unwrap();
    assert_eq!(
        text(&output, Duration::ZERO),
        "a 0.5\n# TYPE b counter\nb{x=\"1\",y=\"2\"} 3\nb{x=\"\\\"\\n\"} +Inf\n"
    );
    assert_eq!(text(&output, Duration::from_hours(1)), "");
}

#[tokio::test]
async fn too_many_series_and_what_is_none_are_refused() {
    let mut output = output("max_series = 1");
    let mut load = testing::load(&[b"a 1\n", b"b 1\n"]);
    let Err(Failure::Reject(error)) = output.send(&mut load).await else { panic!() };
    assert_eq!(error.to_string(), "there are 1 series already (`max_series`)");
    output.send(&mut testing::lines("a 2\n")).await.unwrap();
    assert_eq!(text(&output, Duration::ZERO), "a 2\n");
    let Err(Failure::Reject(error)) = output.send(&mut testing::lines("x y\n")).await else {
        panic!()
    };
    assert!(format!("{error:#}").starts_with("the encoder gives no numbers"), "{error:#}");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let error = output("path = 'metrics'").check().unwrap_err().to_string();
    assert_eq!(error, "`metrics` is no path, it begins with /");
    let error = toml::from_str::<PrometheusOutput>("address = 'x'").unwrap_err().to_string();
    assert!(error.contains("`x` is no address for tcp"), "{error}");
}
