//! Wire formats that inputs, decoders, encoders and outputs share.

pub mod access_log;
pub mod agent;
pub mod csv;
pub mod grok;
pub mod json_fields;
pub mod json_message;
pub mod json_text;
pub mod linux;
pub mod logfmt;
pub mod prometheus;
pub mod severity;
pub mod statsd;
pub mod syslog;
pub mod time;
pub mod user_agent;
