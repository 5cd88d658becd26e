//! Names of cipher suites: those of Heka, of the standards and of rustls.
//!
//! A name is compared in capitals, without its `TLS_`, `TLS13_` and `WITH_`. What rests on RC4,
//! 3DES or CBC, or on RSA without a fresh key for each session, is refused by name.

use rustls::CipherSuite;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;

/// A cipher suite that is still safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cipher(CipherSuite);

/// The name of each suite, cut as names are compared.
const SUITES: [(&str, CipherSuite); 9] = [
    ("AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("ECDHE_ECDSA_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE_ECDSA_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    (
        "ECDHE_ECDSA_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("ECDHE_RSA_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE_RSA_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    (
        "ECDHE_RSA_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

impl Cipher {
    /// The suite as rustls has it.
    pub(super) fn suite(self) -> CipherSuite {
        self.0
    }

    fn parse(written: &str) -> Result<Cipher, String> {
        let cut = written.to_ascii_uppercase().replace("WITH_", "");
        let name = cut.trim_start_matches("TLS13_").trim_start_matches("TLS_");
        if let Some((_, suite)) = SUITES.iter().find(|(known, _)| *known == name) {
            return Ok(Cipher(*suite));
        }
        let is_unsafe = ["RC4", "3DES", "CBC"].iter().any(|weak| name.contains(weak))
            || name.starts_with("RSA_")
            || name.ends_with("_SHA");
        if is_unsafe {
            let nearest = nearest(name);
            return Err(format!(
                "the cipher `{written}` is no longer safe, the nearest that exists is `{nearest}`"
            ));
        }
        let known = SUITES.map(|(known, _)| known).join("`, `");
        Err(format!("`{written}` is no cipher, expected one of `{known}`"))
    }
}

/// The safe suite that stands closest to an unsafe one: the same certificate, the same length of
/// key where it says one.
fn nearest(name: &str) -> &'static str {
    match (name.contains("ECDSA"), name.contains("AES_256")) {
        (true, true) => "ECDHE_ECDSA_AES_256_GCM_SHA384",
        (true, false) => "ECDHE_ECDSA_AES_128_GCM_SHA256",
        (false, true) => "ECDHE_RSA_AES_256_GCM_SHA384",
        (false, false) => "ECDHE_RSA_AES_128_GCM_SHA256",
    }
}

impl<'de> Deserialize<'de> for Cipher {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Cipher, D::Error> {
        Cipher::parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Cipher {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cipher".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": SUITES.map(|(name, _)| name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<CipherSuite, &str>) {
        let found = Cipher::parse(input).map(Cipher::suite);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{input}"),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{input}: {found}"),
            (found, _) => panic!("{input}: {found:?}"),
        }
    }

    #[test]
    fn names_of_heka_the_standards_and_rustls_are_read() {
        let suite = CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;
        check("ECDHE_RSA_AES_128_GCM_SHA256", Ok(suite));
        check("ECDHE_RSA_WITH_AES_128_GCM_SHA256", Ok(suite));
        check("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Ok(suite));
        check("TLS13_AES_128_GCM_SHA256", Ok(CipherSuite::TLS13_AES_128_GCM_SHA256));
    }

    #[test]
    fn unsafe_names_are_refused_with_the_nearest() {
        check("RSA_WITH_RC4_128_SHA", Err("`ECDHE_RSA_AES_128_GCM_SHA256`"));
        check("ECDHE_ECDSA_WITH_AES_256_CBC_SHA", Err("`ECDHE_ECDSA_AES_256_GCM_SHA384`"));
        check("ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", Err("no longer safe"));
        check("ROT13", Err("is no cipher"));
    }
}
