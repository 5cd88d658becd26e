//! Destinations, each against the real program.

mod amqp;
mod answer;
mod cassandra;
mod elasticsearch;
mod graphite;
mod influxdb;
mod kafka;
mod nagios;
mod nats;
mod otlp;
mod prometheus;
mod relay;
mod services;
mod smtp;
mod syslog;
mod web_hook;
mod whisper;

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    [
        amqp::trials(),
        cassandra::trials(),
        elasticsearch::trials(),
        graphite::trials(),
        influxdb::trials(),
        kafka::trials(),
        nagios::trials(),
        otlp::trials(),
        nats::trials(),
        prometheus::trials(),
        services::trials(),
        smtp::trials(),
        syslog::trials(),
        web_hook::trials(),
        whisper::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
