//! Session tickets under a key that several servers share.
//!
//! A ticket is a nonce of 12 bytes and the session, sealed with AES-256-GCM. The key comes from the
//! configuration and stays as long as that does.

use std::fmt;
use std::sync::Arc;

use ring::aead::AES_256_GCM;
use ring::aead::Aad;
use ring::aead::LessSafeKey;
use ring::aead::NONCE_LEN;
use ring::aead::Nonce;
use ring::aead::UnboundKey;
use ring::rand::SecureRandom;
use ring::rand::SystemRandom;
use rustls::server::ProducesTickets;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Deserializer;

use crate::stdx::secret::Secret;

/// How long a client may hold on to a ticket, in seconds.
const LIFETIME: u32 = 12 * 60 * 60;

/// The key of session tickets.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "Secret")]
pub struct TicketKey([u8; 32]);

impl TicketKey {
    pub(super) fn ticketer(&self) -> Arc<dyn ProducesTickets> {
        let key = UnboundKey::new(&AES_256_GCM, &self.0).expect("the key has 32 bytes");
        Arc::new(Ticketer { key: LessSafeKey::new(key), random: SystemRandom::new() })
    }

    fn parse(written: &str) -> Option<TicketKey> {
        let mut key = [0; 32];
        if written.len() != 64 || !written.is_ascii() {
            return None;
        }
        for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&written[at..at + 2], 16).ok()?;
        }
        Some(TicketKey(key))
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(…)")
    }
}

impl<'de> Deserialize<'de> for TicketKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<TicketKey, D::Error> {
        TicketKey::parse(Secret::deserialize(from)?.reveal()).ok_or_else(|| {
            serde::de::Error::custom("a session ticket key has 32 bytes, as 64 hexadecimal digits")
        })
    }
}

#[derive(Debug)]
struct Ticketer {
    key: LessSafeKey,
    random: SystemRandom,
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(unique, Aad::empty(), &mut sealed).ok()?;
        Some([&nonce[..], &sealed[..]].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = cipher.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = sealed.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::empty(), &mut opened).ok()?.len();
        opened.truncate(plain);
        Some(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn ticket_of_one_server_is_read_by_another_with_the_same_key() {
        let key = TicketKey::parse(KEY).unwrap();
        let ticket = key.ticketer().encrypt(b"session").unwrap();
        assert_eq!(key.ticketer().decrypt(&ticket).unwrap(), b"session");
        let other = TicketKey::parse(&KEY.replace("00", "ff")).unwrap();
        assert_eq!(other.ticketer().decrypt(&ticket), None);
        assert_eq!(key.ticketer().decrypt(&ticket[..5]), None);
    }

    #[test]
    fn keys_of_another_length_are_refused() {
        assert!(TicketKey::parse(&KEY[2..]).is_none());
        assert!(TicketKey::parse(&KEY.replace('a', "x")).is_none());
    }
}
