//! The messages of a flood, one after the other.

use super::settings::Settings;
use crate::message::Batch;
use crate::message::Uuids;
use crate::message::frame;

/// Bytes that payloads are cut from.
const POOL: usize = 1 << 20;

/// Makes messages of type `hekabench`, always the same for one seed but for their time.
pub(super) struct Messages<'a> {
    settings: &'a Settings,
    random: Uuids,
    pool: Vec<u8>,
    batch: Batch,
}

/// What was done to a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) is_corrupt: bool,
    pub(super) is_signed: bool,
    pub(super) is_oversized: bool,
}

impl<'a> Messages<'a> {
    pub(super) fn new(settings: &'a Settings) -> Messages<'a> {
        let mut random = Uuids::seeded(settings.seed);
        let mut pool = Vec::with_capacity(POOL + 16);
        while pool.len() < POOL {
            let bytes = random.make();
            // A UUID has fixed bits in its 7th and 9th byte.
            pool.extend(
                bytes
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| !matches!(at, 6 | 8))
                    .map(|(_, byte)| if settings.is_ascii { b' ' + byte % 95 } else { *byte }),
            );
        }
        Messages { settings, random, pool, batch: Batch::new() }
    }

    /// Appends the next message, framed, to `out`; `now` is its time in nanoseconds since the
    /// epoch.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, now: i64) -> anyhow::Result<Made> {
        let made = Made {
            is_oversized: self.is_one_of(self.settings.oversized_percentage),
            is_signed: self.is_one_of(self.settings.signed_percentage),
            is_corrupt: self.is_one_of(self.settings.corrupt_percentage),
        };
        let uuid = self.random.make();
        let size = self.payload_size(made.is_oversized);
        let at = self.below(self.pool.len().saturating_sub(size).max(1));
        self.batch.truncate(0);
        let mut message = self.batch.begin();
        message.uuid(&uuid).timestamp(now).message_type(b"hekabench").logger(b"heka-flood");
        message.severity(7).payload(&self.pool[at..at + size]).env_version(b"0.8");
        message.finish()?;
        let start = out.len();
        match (&self.settings.signer, made.is_signed) {
            (Some(signer), true) => signer.put(out, self.batch.message(0).bytes()),
            _ => out.extend_from_slice(self.batch.bytes()),
        }
        if made.is_corrupt {
            let at = start + self.below(out.len() - start);
            out[at] ^= 0x5a;
        }
        Ok(made)
    }

    fn payload_size(&mut self, is_oversized: bool) -> usize {
        let settings = self.settings;
        if is_oversized {
            return settings.max_message_size + frame::MAX_OVERHEAD;
        }
        if settings.has_variable_size {
            return self.below(2 * settings.size + 1);
        }
        settings.size
    }

    fn is_one_of(&mut self, percentage: u8) -> bool {
        percentage > 0 && self.below(100) < usize::from(percentage)
    }

    /// A number below `end`, each as likely as the other but for the rest of a division.
    fn below(&mut self, end: usize) -> usize {
        let bytes = self.random.make();
        let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        number as usize % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            address: String::new(),
            carrier: crate::cli::link::Carrier::Datagrams,
            messages: 0,
            interval: std::time::Duration::ZERO,
            size: 100,
            has_variable_size: false,
            is_ascii: true,
            corrupt_percentage: 0,
            signed_percentage: 0,
            oversized_percentage: 0,
            max_message_size: 64 * 1024,
            signer: None,
            reconnect: None,
            seed: 7,
        }
    }

    fn check(settings: &Settings, expected: impl Fn(&Made, frame::Step<'_>)) {
        let mut messages = Messages::new(settings);
        for _ in 0..100 {
            let mut out = Vec::new();
            let made = messages.put(&mut out, 1).unwrap();
            expected(&made, frame::step(&out, settings.max_message_size));
        }
    }

    #[test]
    fn plain_messages_are_whole_and_of_the_size_asked_for() {
        check(&settings(), |_, step| {
            let frame::Step::Frame { message, .. } = step else { panic!("no frame: {step:?}") };
            let batch = Batch::from_frames({
                let mut framed = Vec::new();
                frame::put(&mut framed, message);
                framed
            });
            let batch = batch.unwrap();
            assert_eq!(batch.message(0).payload().len(), 100);
            assert!(batch.message(0).payload().iter().all(|byte| (b' '..=b'~').contains(byte)));
        });
    }

    #[test]
    fn oversized_messages_exceed_the_limit() {
        let settings = Settings { oversized_percentage: 50, ..settings() };
        check(&settings, |made, step| {
            assert_eq!(made.is_oversized, matches!(step, frame::Step::TooLarge { .. }));
        });
    }

    #[test]
    fn a_flood_of_one_seed_is_always_the_same() {
        let settings = settings();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let (mut one, mut other) = (Messages::new(&settings), Messages::new(&settings));
        for now in 0..50 {
            one.put(&mut first, now).unwrap();
            other.put(&mut second, now).unwrap();
        }
        assert_eq!(first, second);
    }
}
