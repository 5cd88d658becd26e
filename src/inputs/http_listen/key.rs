//! Who may send.

use anyhow::bail;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stdx::secret::Secret;

/// How a request shows that it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(in crate::inputs) enum AuthType {
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
pub(in crate::inputs) struct Key {
    header: HeaderName,
    value: Vec<u8>,
    challenge: &'static str,
}

impl Key {
    /// What settings of these names ask for, if they do.
    ///
    /// # Errors
    /// When something is missing that `auth_type` needs.
    pub(in crate::inputs) fn new(
        auth_type: AuthType,
        username: &str,
        password: Option<&Secret>,
        api_key: Option<&Secret>,
    ) -> anyhow::Result<Option<Key>> {
        Ok(match auth_type {
            AuthType::None => None,
            AuthType::Basic => {
                let password = password.map(Secret::reveal).unwrap_or_default();
                if username.is_empty() || password.is_empty() {
                    bail!("`auth_type` Basic needs `username` and `password`");
                }
                let value = BASE64.encode(format!("{username}:{password}"));
                Some(Key {
                    header: header::AUTHORIZATION,
                    value: format!("Basic {value}").into_bytes(),
                    challenge: "Basic realm=\"heka\", charset=\"UTF-8\"",
                })
            }
            AuthType::Api => {
                let value = api_key.map(Secret::reveal).unwrap_or_default().as_bytes().to_vec();
                if value.is_empty() {
                    bail!("`auth_type` API needs `api_key`");
                }
                let header = HeaderName::from_static("x-api-key");
                Some(Key { header, value, challenge: "X-API-KEY" })
            }
        })
    }

    /// What a request without it is told.
    pub(in crate::inputs) fn challenge(&self) -> &'static str {
        self.challenge
    }

    /// Tells whether a request has the key, in a time that does not depend on how much of it.
    pub(in crate::inputs) fn opens(&self, headers: &HeaderMap) -> bool {
        let Some(given) = headers.get(&self.header) else { return false };
        let given = given.as_bytes();
        let difference = given.iter().zip(&self.value).fold(0, |all, (a, b)| all | (a ^ b));
        difference == 0 && given.len() == self.value.len()
    }
}
