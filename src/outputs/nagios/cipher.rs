//! What NSCA encrypts with: CFB with 8 bits of feedback, as libmcrypt has it.
//!
//! The key is the password, cut or filled with zeros to the longest key there is; the first bytes of the
//! server's greeting are what it begins with. It goes on from one packet to the next.

use aes::Aes256;
use cfb8::Encryptor;
use cfb8::cipher::KeyIvInit;
use des::Des;
use des::TdesEde3;

use super::settings::Encryption;

/// A cipher and where it stands.
pub(super) enum Cipher {
    None,
    /// What is mixed in: the greeting and the password, from the start for each packet.
    Xor([u8; 128], Vec<u8>),
    Des(Box<Encryptor<Des>>),
    TripleDes(Box<Encryptor<TdesEde3>>),
    Aes(Box<Encryptor<Aes256>>),
}

impl Cipher {
    /// The cipher for a server that has greeted with these bytes.
    pub(super) fn new(encryption: Encryption, greeting: [u8; 128], password: &str) -> Cipher {
        let password = password.as_bytes();
        match encryption {
            Encryption::None => Cipher::None,
            Encryption::Xor => Cipher::Xor(greeting, password.to_vec()),
            Encryption::Des => {
                let (key, start) = (filled::<8>(password), filled::<8>(&greeting));
                Cipher::Des(Box::new(Encryptor::new(&key.into(), &start.into())))
            }
            Encryption::TripleDes => {
                let (key, start) = (filled::<24>(password), filled::<8>(&greeting));
                Cipher::TripleDes(Box::new(Encryptor::new(&key.into(), &start.into())))
            }
            Encryption::Aes => {
                let (key, start) = (filled::<32>(password), filled::<16>(&greeting));
                Cipher::Aes(Box::new(Encryptor::new(&key.into(), &start.into())))
            }
        }
    }

    /// Encrypts a packet.
    pub(super) fn encrypt(&mut self, packet: &mut [u8]) {
        match self {
            Cipher::None => {}
            Cipher::Xor(greeting, password) => {
                mix(packet, greeting);
                mix(packet, password);
            }
            Cipher::Des(cipher) => cipher.encrypt(packet),
            Cipher::TripleDes(cipher) => cipher.encrypt(packet),
            Cipher::Aes(cipher) => cipher.encrypt(packet),
        }
    }
}

/// The first bytes, with zeros behind them.
fn filled<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut filled = [0; N];
    let length = bytes.len().min(N);
    filled[..length].copy_from_slice(&bytes[..length]);
    filled
}

fn mix(packet: &mut [u8], key: &[u8]) {
    if key.is_empty() {
        return;
    }
    for (byte, key) in packet.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}
