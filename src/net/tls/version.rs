//! Versions of TLS, by the names Heka gave them.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Deserializer;

use super::Error;

/// A version of TLS that is still safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
pub enum Version {
    /// Version 1.2.
    #[schemars(rename = "TLS12")]
    Tls12,
    /// Version 1.3.
    #[schemars(rename = "TLS13")]
    Tls13,
}

impl Version {
    fn protocol(self) -> &'static rustls::SupportedProtocolVersion {
        match self {
            Version::Tls12 => &rustls::version::TLS12,
            Version::Tls13 => &rustls::version::TLS13,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::Tls12 => "TLS12",
            Version::Tls13 => "TLS13",
        })
    }
}

impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Version, D::Error> {
        let written = String::deserialize(from)?;
        match written.to_ascii_uppercase().as_str() {
            "TLS12" => Ok(Version::Tls12),
            "TLS13" => Ok(Version::Tls13),
            "SSL30" | "TLS10" | "TLS11" => Err(serde::de::Error::custom(format!(
                "`{written}` is no longer safe, the nearest that exists is `TLS12`"
            ))),
            _ => Err(serde::de::Error::custom(format!(
                "`{written}` is no version of tls, expected `TLS12` or `TLS13`"
            ))),
        }
    }
}

/// All versions from `lowest` to `highest`.
pub(super) fn between(
    lowest: Version,
    highest: Version,
) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, Error> {
    if lowest > highest {
        return Err(Error::Range(format!(
            "`min_version` {lowest} is above `max_version` {highest}"
        )));
    }
    let all = [Version::Tls12, Version::Tls13];
    let spoken = all.into_iter().filter(|version| (lowest..=highest).contains(version));
    Ok(spoken.map(Version::protocol).collect())
}
