//! The protocol of agents: what is understood is said again in the same bytes, however it arrives.

#![no_main]

use heka::formats::agent;
use heka::formats::agent::BatchHead;
use heka::formats::agent::Hello;
use heka::formats::agent::Welcome;
use heka::formats::agent::Word;
use libfuzzer_sys::arbitrary;
use libfuzzer_sys::arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Said<'a> {
    Raw(&'a [u8]),
    /// A frame whose body is anything.
    Framed(u8, &'a [u8]),
    Hello((bool, bool), [u8; 16], (u64, u64), &'a str, &'a str),
    Welcome([u8; 16], u32, u32, Option<u64>, u64),
    Batch([u8; 16], u64, u64, u64, u32, bool, &'a [u8]),
    Ack(u64),
    Ping(u64, u64),
    Pong,
    Refusal(&'a str),
}

fuzz_target!(|input: (Vec<Said<'_>>, u16)| {
    let (all, most) = input;
    let mut stream = Vec::new();
    for said in &all {
        say(&mut stream, said);
    }
    let _ = agent::begins(&stream);
    let mut at = 0;
    while let Ok(Some(head)) = agent::head(&stream[at..], usize::from(most)) {
        assert!(head.length >= 10 && at + head.length <= stream.len());
        // Its end is looked for until it is there, and then only the checksum counts.
        assert_eq!(agent::head(&stream[at..at + head.length - 1], usize::from(most)), Ok(None));
        if let Ok(word) = agent::word(&head, &stream[at..]) {
            let mut again = Vec::new();
            agent::put(&mut again, &word);
            let second = agent::head(&again, agent::LARGEST).expect("it is sound");
            let second = second.expect("it is whole");
            assert_eq!(agent::word(&second, &again).as_ref(), Ok(&word));
        }
        at += head.length;
    }
});

fn say(stream: &mut Vec<u8>, said: &Said<'_>) {
    let word = match *said {
        Said::Raw(bytes) => return stream.extend_from_slice(bytes),
        Said::Framed(kind, body) => {
            let put = agent::put_with(stream, kind, |out| -> Result<(), ()> {
                out.extend_from_slice(body);
                Ok(())
            });
            return put.expect("nothing fails");
        }
        Said::Hello((has_others, has_lost_its_end), journal, (acknowledged, run), name, stream) => {
            let (name, stream) = (name.to_owned(), stream.to_owned());
            Word::Hello(Hello {
                has_others,
                has_lost_its_end,
                journal,
                acknowledged,
                run,
                name,
                stream,
            })
        }
        Said::Welcome(journal, largest, window, position, run) => {
            Word::Welcome(Welcome { journal, largest, window, position, run })
        }
        Said::Batch(journal, before, first, last, plain, is_compressed, data) => {
            Word::Batch(BatchHead { journal, before, first, last, plain, is_compressed }, data)
        }
        Said::Ack(position) => Word::Ack(position),
        Said::Ping(first, last) => Word::Ping { first, last },
        Said::Pong => Word::Pong,
        Said::Refusal(text) => Word::Refusal(text.to_owned()),
    };
    agent::put(stream, &word);
}
