//! Signatures of framed messages.
//!
//! A signature is an HMAC over the bytes of the message alone; name, version and hash stand in the
//! frame header. Heka knows MD5 (0) and SHA-1 (1); SHA-256 (2) is ours. A receiver looks a key up
//! by `<signer>_<version>`, so several versions of a key are alive at once.

use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;

use super::frame;
use super::frame::FrameHeader;

/// What a signature is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Hash {
    /// HMAC-MD5, Heka's default.
    #[default]
    Md5,
    /// HMAC-SHA-1.
    Sha1,
    /// HMAC-SHA-256; only this engine knows it.
    Sha256,
}

impl Hash {
    /// The number that stands for the hash in a frame header.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Hash::Md5 => 0,
            Hash::Sha1 => 1,
            Hash::Sha256 => 2,
        }
    }

    /// The hash for which `number` stands.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Hash> {
        Some(match number {
            0 => Hash::Md5,
            1 => Hash::Sha1,
            2 => Hash::Sha256,
            _ => return None,
        })
    }

    /// The hash called `name` in a configuration: `md5`, `sha1` or `sha256`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Hash> {
        Some(match name {
            "md5" => Hash::Md5,
            "sha1" => Hash::Sha1,
            "sha256" => Hash::Sha256,
            _ => return None,
        })
    }
}

/// A key, ready for each hash.
#[derive(Clone)]
struct Key {
    md5: Hmac<Md5>,
    sha1: Hmac<Sha1>,
    sha256: Hmac<Sha256>,
}

impl Key {
    fn new(key: &[u8]) -> Key {
        let any_length = "HMAC takes a key of any length";
        Key {
            md5: Hmac::new_from_slice(key).expect(any_length),
            sha1: Hmac::new_from_slice(key).expect(any_length),
            sha256: Hmac::new_from_slice(key).expect(any_length),
        }
    }

    /// Tells whether `signature` is that of `message`; takes the same time wherever it differs.
    fn verify(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        match hash {
            Hash::Md5 => self.md5.clone().chain_update(message).verify_slice(signature).is_ok(),
            Hash::Sha1 => self.sha1.clone().chain_update(message).verify_slice(signature).is_ok(),
            Hash::Sha256 => {
                self.sha256.clone().chain_update(message).verify_slice(signature).is_ok()
            }
        }
    }

    fn sign(&self, hash: Hash, message: &[u8], out: &mut [u8; 32]) -> usize {
        fn put(out: &mut [u8; 32], digest: &[u8]) -> usize {
            out[..digest.len()].copy_from_slice(digest);
            digest.len()
        }
        match hash {
            Hash::Md5 => put(out, &self.md5.clone().chain_update(message).finalize().into_bytes()),
            Hash::Sha1 => {
                put(out, &self.sha1.clone().chain_update(message).finalize().into_bytes())
            }
            Hash::Sha256 => {
                put(out, &self.sha256.clone().chain_update(message).finalize().into_bytes())
            }
        }
    }
}

/// Signs what is framed.
#[derive(Clone)]
pub struct Signer {
    name: Vec<u8>,
    version: u32,
    hash: Hash,
    key: Key,
}

impl Signer {
    /// The longest name of a signer, in bytes; with a longer one the frame header may not fit.
    pub const MAX_NAME: usize = 192;

    /// A signer called `name`, whose key has this version; `None` when the name is longer than
    /// [`Signer::MAX_NAME`].
    #[must_use]
    pub fn new(name: &str, version: u32, hash: Hash, key: &[u8]) -> Option<Signer> {
        (name.len() <= Signer::MAX_NAME).then(|| Signer {
            name: name.as_bytes().to_vec(),
            version,
            hash,
            key: Key::new(key),
        })
    }

    /// Appends `message` in a signed frame.
    pub fn put(&self, out: &mut Vec<u8>, message: &[u8]) {
        let mut digest = [0; 32];
        let length = self.key.sign(self.hash, message, &mut digest);
        let header = FrameHeader {
            message_length: message.len(),
            encoding: 0,
            hash: self.hash.number(),
            signer: &self.name,
            key_version: self.version,
            hmac: &digest[..length],
        };
        frame::put_signed(out, &header, message);
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = String::from_utf8_lossy(&self.name);
        write!(f, "Signer({name}_{}, {:?})", self.version, self.hash)
    }
}

/// The keys a receiver trusts.
#[derive(Clone, Default)]
pub struct Keys {
    known: Vec<(Known, Key)>,
}

/// Whose key it is.
#[derive(Clone, Debug)]
struct Known {
    signer: String,
    version: u32,
}

/// Why a signed message is not to be trusted.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum Rejection {
    /// No key of this name and version is known.
    #[error("no key is known for signer {signer:?}, version {version}")]
    UnknownSigner {
        /// The name, as far as it is text.
        signer: String,
        /// The version of the key.
        version: u32,
    },
    /// The header names a hash that is not known.
    #[error("signature of {signer:?} uses hash {hash}, which is unknown")]
    UnknownHash {
        /// The name of the signer.
        signer: String,
        /// The number of the hash.
        hash: u64,
    },
    /// The signature is not that of the message.
    #[error("signature of {signer:?}, version {version}, is wrong")]
    WrongSignature {
        /// The name of the signer.
        signer: String,
        /// The version of the key.
        version: u32,
    },
}

impl Keys {
    /// Adds a key by its name in a configuration, `<signer>_<version>`; `false`, and nothing added,
    /// when the name has another form.
    #[must_use]
    pub fn add(&mut self, name: &str, key: &[u8]) -> bool {
        let Some((signer, version)) = name.rsplit_once('_') else { return false };
        let Ok(version) = version.parse::<u32>() else { return false };
        self.known.push((Known { signer: signer.to_owned(), version }, Key::new(key)));
        true
    }

    /// Tells who signed `message` under `header`: a number for [`Keys::signer`], or `None` when
    /// nobody did.
    ///
    /// # Errors
    /// When it is signed and cannot be trusted.
    pub fn check(
        &self,
        header: &FrameHeader<'_>,
        message: &[u8],
    ) -> Result<Option<usize>, Rejection> {
        if header.signer.is_empty() {
            return Ok(None);
        }
        let version = header.key_version;
        let name = || String::from_utf8_lossy(header.signer).into_owned();
        let found = self.known.iter().position(|(known, _)| {
            known.version == version && known.signer.as_bytes() == header.signer
        });
        let Some(index) = found else {
            return Err(Rejection::UnknownSigner { signer: name(), version });
        };
        let Some(hash) = Hash::from_number(header.hash) else {
            return Err(Rejection::UnknownHash { signer: name(), hash: header.hash });
        };
        if self.known[index].1.verify(hash, message, header.hmac) {
            Ok(Some(index))
        } else {
            Err(Rejection::WrongSignature { signer: name(), version })
        }
    }

    /// The name behind a number that [`Keys::check`] gave.
    #[must_use]
    pub fn signer(&self, number: usize) -> Option<&str> {
        self.known.get(number).map(|(known, _)| known.signer.as_str())
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.known.iter().map(|(known, _)| known)).finish()
    }
}
