//! Who may send.

use anyhow::bail;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::Deserialize;

use super::HttpListenInput;
use crate::stdx::secret::Secret;

/// How a request shows that it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum AuthType {
    /// It need not.
    #[default]
    #[serde(rename = "")]
    None,
    /// By name and password.
    Basic,
    /// By a key.
    #[serde(rename = "API")]
    Api,
}

/// The header a request has to have.
pub(super) struct Key {
    header: HeaderName,
    value: Vec<u8>,
    /// What a request without it is told.
    pub(super) challenge: &'static str,
}

impl Key {
    /// What the settings ask for, if they do.
    pub(super) fn of(settings: &HttpListenInput) -> anyhow::Result<Option<Key>> {
        let secret = |secret: &Option<Secret>| {
            secret.as_ref().map(|secret| secret.reveal().to_owned()).unwrap_or_default()
        };
        Ok(match settings.auth_type {
            AuthType::None => None,
            AuthType::Basic => {
                let password = secret(&settings.password);
                if settings.username.is_empty() || password.is_empty() {
                    bail!("`auth_type` Basic needs `username` and `password`");
                }
                let value = BASE64.encode(format!("{}:{password}", settings.username));
                Some(Key {
                    header: header::AUTHORIZATION,
                    value: format!("Basic {value}").into_bytes(),
                    challenge: "Basic realm=\"heka\", charset=\"UTF-8\"",
                })
            }
            AuthType::Api => {
                let value = secret(&settings.api_key).into_bytes();
                if value.is_empty() {
                    bail!("`auth_type` API needs `api_key`");
                }
                let header = HeaderName::from_static("x-api-key");
                Some(Key { header, value, challenge: "X-API-KEY" })
            }
        })
    }

    /// Tells whether a request has the key, in a time that does not depend on how much of it.
    pub(super) fn opens(&self, headers: &HeaderMap) -> bool {
        let Some(given) = headers.get(&self.header) else { return false };
        let given = given.as_bytes();
        let difference = given.iter().zip(&self.value).fold(0, |all, (a, b)| all | (a ^ b));
        difference == 0 && given.len() == self.value.len()
    }
}
