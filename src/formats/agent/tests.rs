//! The protocol: what was said is understood, what was damaged is not, and nothing panics.

use proptest::prelude::*;

use super::*;

fn words() -> impl Strategy<Value = Vec<u8>> {
    let text = "[a-zé]{0,40}";
    let hello = (any::<(bool, bool)>(), any::<[u8; 16]>(), any::<(u64, u64)>(), text, text)
        .prop_map(
            |((has_others, has_lost_its_end), journal, (acknowledged, run), name, stream)| {
                let hello = Hello {
                    has_others,
                    has_lost_its_end,
                    journal,
                    acknowledged,
                    run,
                    name,
                    stream,
                };
                said(&Word::Hello(hello))
            },
        );
    let welcome = (any::<[u8; 16]>(), any::<u32>(), any::<u32>(), any::<(Option<u64>, u64)>())
        .prop_map(|(journal, largest, window, (position, run))| {
            said(&Word::Welcome(Welcome { journal, largest, window, position, run }))
        });
    let batch = (any::<[u8; 16]>(), 0_u64..1 << 60, 0_u64..1 << 30, any::<Vec<u8>>()).prop_map(
        |(journal, before, more, data)| {
            let (first, last) = (before + 1, before + more);
            let plain = u32::try_from(data.len()).unwrap();
            let head = BatchHead { journal, before, first, last, plain, is_compressed: false };
            said(&Word::Batch(head, &data))
        },
    );
    prop_oneof![
        hello,
        welcome,
        batch,
        any::<u64>().prop_map(|position| said(&Word::Ack(position))),
        any::<(u64, u64)>().prop_map(|(first, last)| said(&Word::Ping { first, last })),
        Just(said(&Word::Pong)),
        text.prop_map(|text| said(&Word::Refusal(text))),
    ]
}

fn said(word: &Word<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, word);
    out
}

fn understood(bytes: &[u8]) -> Result<Option<Word<'_>>, Error> {
    let head = head(bytes, LARGEST)?;
    head.map(|head| word(&head, bytes)).transpose()
}

proptest! {
    #[test]
    fn what_is_said_is_understood(bytes in words()) {
        let word = understood(&bytes).unwrap().unwrap();
        prop_assert_eq!(said(&word), bytes);
    }

    #[test]
    fn a_part_waits_for_the_rest(bytes in words(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(bytes.len());
        prop_assert_eq!(understood(&bytes[..cut]), Ok(None));
    }

    #[test]
    fn a_flipped_bit_is_found(bytes in words(), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let mut damaged = bytes;
        let at = at.index(damaged.len());
        damaged[at] ^= 1_u8 << bit;
        // A length that has grown waits for more; it never passes for something else.
        prop_assert!(!matches!(understood(&damaged), Ok(Some(_))), "byte {}", at);
    }

    #[test]
    fn no_bytes_panic(kind in any::<u8>(), body in any::<Vec<u8>>(), raw in any::<Vec<u8>>()) {
        let _ = understood(&raw);
        let mut framed = Vec::new();
        put_with::<()>(&mut framed, kind, |out| { out.extend_from_slice(&body); Ok(()) }).unwrap();
        let _ = understood(&framed);
    }
}

#[test]
fn another_version_is_named() {
    let hello = Hello {
        has_others: false,
        has_lost_its_end: false,
        journal: [1; 16],
        acknowledged: 0,
        run: 7,
        name: "a".into(),
        stream: "b".into(),
    };
    let mut body = Vec::new();
    put(&mut body, &Word::Hello(hello));
    let mut other = body[10..].to_vec();
    other[4] = 9;
    let mut framed = Vec::new();
    put_with::<()>(&mut framed, 1, |out| {
        out.extend_from_slice(&other);
        Ok(())
    })
    .unwrap();
    assert_eq!(understood(&framed), Err(Error::Version(9)));
}

#[test]
fn a_length_beyond_the_bound_is_refused_before_it_is_read() {
    let mut bytes = said(&Word::Pong);
    bytes[2..6].copy_from_slice(&u32::MAX.to_le_bytes());
    let most = MAX_WORD;
    assert_eq!(head(&bytes, most), Err(Error::TooLarge { length: u32::MAX as usize, most }));
}

#[test]
fn a_hello_is_told_from_other_protocols() {
    let check = |bytes: &[u8], expected| assert_eq!(begins(bytes), expected, "{bytes:?}");
    let mut hello = vec![MAGIC, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    check(&hello, None);
    hello.extend_from_slice(b"HEKA");
    check(&hello, Some(true));
    hello[12] = b'X';
    check(&hello, Some(false));
    check(b"\x1e\x02\x08", Some(false));
    check(&[MAGIC, b'x'], Some(false));
    check(b"", None);
}
