//! Scripts that send: what they answer and what becomes of it.

use super::*;
use crate::message::Batch;
use crate::outputs::testing;

async fn open(script: &str) -> SandboxOutput {
    let folder = tempfile::tempdir().unwrap().keep();
    let path = folder.join("script.lua");
    std::fs::write(&path, script).unwrap();
    let text = format!("filename = '{}'", path.display());
    let mut output: SandboxOutput = toml::from_str(&text).unwrap();
    let mut context = testing::context("lua");
    context.has_messages = true;
    output.open(&context).await.unwrap();
    output
}

fn load(payloads: &[&str], entry: u64) -> Load {
    let mut batch = Batch::new();
    for payload in payloads {
        let mut builder = batch.begin();
        builder.payload(payload.as_bytes()).integer("n", "", 7);
        builder.finish().unwrap();
    }
    let mut encoded = Encoded::default();
    for message in batch.iter() {
        encoded.bytes.extend_from_slice(message.bytes());
        encoded.close_record();
    }
    Load::new(encoded, entry)
}

#[tokio::test]
async fn each_message_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    let mut output = open(&format!(
        "local out = io.open('{}', 'w') out:setvbuf('no')
         local seven = create_message_matcher('Fields[n] == 7')
         function process_message(sequence, msg)
           local text = read_message('Payload')
           if text == 'bad' then return -1, 'no good' end
           if text == 'throw' then error('it threw') end
           if text == 'skip' then return -2 end
           if text == 'again' then return -3 end
           if text == 'end' then return 1, 'enough' end
           assert(msg.Payload == text and seven:eval())
           out:write(sequence, ' ', text, '\\n')
           assert(decode_message(encode_message({{Payload = text}})).Logger == 'lua')
           return 0
         end",
        file.display()
    ))
    .await;
    assert_eq!(output.send(&mut load(&["a", "skip", "b"], 1)).await.unwrap(), Sent::Done);
    let mut mixed = load(&["c", "bad", "throw", "again", "end"], 2);
    for (expected, done) in [("no good", 1), ("it threw", 2), ("again", 3)] {
        let failure = output.send(&mut mixed).await.unwrap_err();
        let (Failure::Reject(error) | Failure::Retry(error) | Failure::Stop(error)) = failure;
        assert!(format!("{error:#}").contains(expected), "{error:#}");
        assert_eq!(mixed.first(), done);
        mixed.advance(1);
    }
    assert!(matches!(output.send(&mut mixed).await, Err(Failure::Stop(_))));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "0 a\n2 b\n3 c\n");
}

#[tokio::test]
async fn gathered_messages_are_certain_when_the_script_says_so() {
    let mut output = open(
        "local n = 0
         function process_message()
           n = n + 1
           if n == 3 then return 0 end
           return -4
         end
         function timer_event(ns, shutdown) update_checkpoint() end",
    )
    .await;
    assert_eq!(output.send(&mut load(&["a", "b"], 5)).await.unwrap(), Sent::Held);
    assert_eq!(output.send(&mut load(&["c"], 6)).await.unwrap(), Sent::Done);
    assert_eq!(output.send(&mut load(&["d"], 7)).await.unwrap(), Sent::Held);
    output.tick().await.unwrap();
    assert_eq!(output.settled().await.unwrap(), 7);
    assert_eq!(output.send(&mut load(&["e"], 8)).await.unwrap(), Sent::Held);
    output.flush().await.unwrap();
}

#[tokio::test]
async fn messages_under_way_are_certain_in_order() {
    let mut output = open(
        "local last
         function process_message(sequence)
           if last then update_checkpoint(last) end
           if sequence > 0 then last = sequence - (sequence % 2 == 0 and 2 or 0) end
           return -5
         end",
    )
    .await;
    // Done are: 1 while 2 is sent, 0 while 3 is sent.
    assert_eq!(output.send(&mut load(&["0", "1"], 1)).await.unwrap(), Sent::Held);
    assert_eq!(output.send(&mut load(&["2"], 2)).await.unwrap(), Sent::Held);
    assert_eq!(output.send(&mut load(&["3"], 3)).await.unwrap(), Sent::Held);
    assert_eq!(output.settled().await.unwrap(), 1);
    assert!(matches!(output.flush().await, Err(Failure::Retry(_))));
}

#[tokio::test]
async fn a_script_that_asks_again_keeps_what_it_has() {
    let mut context = testing::context("lua");
    context.has_messages = true;
    let mut output = open(
        "local asked, first = 0, nil
         function process_message(sequence)
           if sequence < 2 then return -4 end
           first = first or sequence
           assert(sequence == first)
           asked = asked + 1
           if asked < 3 then return -3 end
           return 0
         end",
    )
    .await;
    output.handover = context.handover.clone();
    assert_eq!(output.send(&mut load(&["a"], 1)).await.unwrap(), Sent::Held);
    let mut second = load(&["b", "c"], 2);
    for _ in 0..2 {
        assert!(matches!(output.send(&mut second).await, Err(Failure::Retry(_))));
        assert_eq!((second.first(), output.keeps_held()), (1, true));
        output.close().await;
        output.open(&context).await.unwrap();
    }
    assert_eq!(output.send(&mut second).await.unwrap(), Sent::Done);
    assert!(!output.keeps_held());
}

#[tokio::test]
async fn after_a_limit_what_was_gathered_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let script = format!(
        "local out = io.open('{path}/out', 'a') out:setvbuf('no')
         function process_message()
           local text = read_message('Payload')
           out:write(text, ' ')
           if text == 'bad' then return -1, 'no good' end
           if text == 'again' then return -3 end
           if text == 'full' and not io.open('{path}/full') then
             io.open('{path}/full', 'w'):close()
             return #string.rep('x', 2 ^ 29)
           end
           return text == 'done' and 0 or -4
         end
         function timer_event() string.rep('x', 2 ^ 29) end"
    );
    let mut context = testing::context("lua");
    context.has_messages = true;
    let mut output = open(&script).await;
    output.handover = context.handover.clone();
    let mut mixed = load(&["done", "a", "bad", "full", "b"], 3);
    assert!(matches!(output.send(&mut mixed).await, Err(Failure::Reject(_))));
    assert_eq!(mixed.first(), 2);
    mixed.advance(1);
    assert!(matches!(output.send(&mut mixed).await, Err(Failure::Retry(_))));
    assert!(!output.keeps_held());
    output.close().await;
    output.open(&context).await.unwrap();
    assert!(matches!(output.send(&mut mixed).await, Err(Failure::Reject(_))));
    mixed.advance(1);
    assert_eq!(output.send(&mut mixed).await.unwrap(), Sent::Held);
    let written = || std::fs::read_to_string(folder.path().join("out")).unwrap();
    assert_eq!(written(), "done a bad full a bad full b ");

    // A limit in a tick, while the script waits for a message that it asked for again.
    let mut waiting = load(&["c", "again"], 4);
    assert!(matches!(output.send(&mut waiting).await, Err(Failure::Retry(_))));
    assert!(output.keeps_held());
    assert!(output.tick().await.is_err());
    assert!(!output.keeps_held());
    output.close().await;
    output.open(&context).await.unwrap();
    assert!(matches!(output.send(&mut waiting).await, Err(Failure::Retry(_))));
    assert!(written().ends_with("b c again c again "));
}
