//! What a broker says on its own: why it ends a channel, what it has stored, what it gives back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use amqprs::Ack;
use amqprs::BasicProperties;
use amqprs::Cancel;
use amqprs::Close;
use amqprs::CloseChannel;
use amqprs::Nack;
use amqprs::Return;
use amqprs::callbacks::ChannelCallback;
use amqprs::callbacks::ConnectionCallback;
use amqprs::channel::Channel;
use amqprs::connection::Connection;
use async_trait::async_trait;
use tokio::sync::Notify;

/// What was told so far.
#[derive(Debug, Default)]
pub struct Told {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Why the channel has ended.
    ended: Option<String>,
    /// The numbers of what was published and of which the broker has not said what became.
    outstanding: BTreeSet<u64>,
    /// The numbers of what it did not take. What it confirms later together does not mean them.
    refused: BTreeSet<u64>,
    /// Why, and how many, it gave back because they belong in no queue.
    returned: Option<(String, usize)>,
}

/// What became of what was published.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How many the broker did not take; they are among [`Outcome::outstanding`].
    pub refused: usize,
    /// Why it gave some back, and how many, because no queue wants them.
    pub returned: Option<(String, usize)>,
    /// What is not stored.
    pub outstanding: Vec<u64>,
    /// Why the channel has ended, if it has.
    pub ended: Option<String>,
}

impl Told {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the channel has ended; the first reason counts.
    pub fn end(&self, reason: &str) {
        self.state().ended.get_or_insert_with(|| reason.to_owned());
        self.changed.notify_waiters();
    }

    /// Why the channel has ended, if it has.
    pub fn reason(&self) -> Option<String> {
        self.state().ended.clone()
    }

    /// Resolves when the channel has ended, with the reason.
    pub async fn ended(&self) -> String {
        loop {
            let changed = self.changed.notified();
            if let Some(reason) = self.reason() {
                return reason;
            }
            changed.await;
        }
    }

    /// Says that what has this number was published.
    pub fn published(&self, number: u64) {
        self.state().outstanding.insert(number);
    }

    /// Waits until all that was published is confirmed or refused, or the channel has ended.
    pub async fn outcome(&self) -> Outcome {
        loop {
            let changed = self.changed.notified();
            let is_done = {
                let state = self.state();
                state.ended.is_some() || state.outstanding.is_empty()
            };
            if is_done {
                break;
            }
            changed.await;
        }
        let mut state = self.state();
        let refused = std::mem::take(&mut state.refused);
        let mut outstanding = std::mem::take(&mut state.outstanding);
        outstanding.extend(&refused);
        Outcome {
            refused: refused.len(),
            returned: state.returned.take(),
            outstanding: outstanding.into_iter().collect(),
            ended: state.ended.clone(),
        }
    }

    fn confirm(&self, number: u64, is_multiple: bool) {
        self.hear(number, is_multiple, |_, _| {});
    }

    fn refuse(&self, number: u64, is_multiple: bool) {
        self.hear(number, is_multiple, |state, numbers| state.refused.extend(numbers));
    }

    /// Hears what became of one, or of all up to it that nothing was said of; zero is the last then.
    fn hear(&self, number: u64, is_multiple: bool, note: impl FnOnce(&mut State, &BTreeSet<u64>)) {
        let mut state = self.state();
        let last = if is_multiple && number == 0 { u64::MAX } else { number };
        let first = if is_multiple { 0 } else { number };
        let meant: BTreeSet<u64> = state.outstanding.range(first..=last).copied().collect();
        for number in &meant {
            state.outstanding.remove(number);
        }
        note(&mut state, &meant);
        let is_done = state.outstanding.is_empty();
        drop(state);
        if is_done {
            self.changed.notify_waiters();
        }
    }

    fn give_back(&self, reason: String) {
        self.state().returned.get_or_insert((reason, 0)).1 += 1;
    }
}

/// Hears it.
pub(super) struct Ear(pub(super) Arc<Told>);

#[async_trait]
impl ConnectionCallback for Ear {
    async fn close(
        &mut self,
        _connection: &Connection,
        close: Close,
    ) -> Result<(), amqprs::error::Error> {
        self.0.end(&format!("{} {}", close.reply_code(), close.reply_text()));
        Ok(())
    }

    async fn blocked(&mut self, connection: &Connection, reason: String) {
        let connection = connection.connection_name();
        tracing::warn!(connection, reason, "the broker takes nothing for now");
    }

    async fn unblocked(&mut self, connection: &Connection) {
        let connection = connection.connection_name();
        tracing::info!(connection, "the broker takes messages again");
    }

    async fn secret_updated(&mut self, _connection: &Connection) {}
}

#[async_trait]
impl ChannelCallback for Ear {
    async fn close(
        &mut self,
        _channel: &Channel,
        close: CloseChannel,
    ) -> Result<(), amqprs::error::Error> {
        self.0.end(&format!("{} {}", close.reply_code(), close.reply_text()));
        Ok(())
    }

    async fn cancel(
        &mut self,
        _channel: &Channel,
        _cancel: Cancel,
    ) -> Result<(), amqprs::error::Error> {
        self.0.end("404 the queue was deleted");
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, amqprs::error::Error> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _channel: &Channel, ack: Ack) {
        self.0.confirm(ack.delivery_tag(), ack.mutiple());
    }

    async fn publish_nack(&mut self, _channel: &Channel, nack: Nack) {
        self.0.refuse(nack.delivery_tag(), nack.multiple());
    }

    async fn publish_return(
        &mut self,
        _channel: &Channel,
        given: Return,
        _properties: BasicProperties,
        _content: Vec<u8>,
    ) {
        self.0.give_back(format!("{} {}", given.reply_code(), given.reply_text()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Publishes 1 to 6; what `say` tells leaves these as not stored.
    async fn check(say: impl Fn(&Told), expected: &[u64], refused: usize) {
        let told = Told::default();
        for number in 1..=6 {
            told.published(number);
        }
        say(&told);
        let outcome = told.outcome().await;
        assert_eq!((&outcome.outstanding[..], outcome.refused), (expected, refused));
    }

    #[tokio::test]
    async fn confirmations_come_in_any_order_and_together() {
        check(|told| told.confirm(6, true), &[], 0).await;
        check(
            |told| {
                told.confirm(5, false);
                told.confirm(4, true);
                told.confirm(6, false);
            },
            &[],
            0,
        )
        .await;
        check(
            |told| {
                told.confirm(2, true);
                told.refuse(3, false);
                told.confirm(6, false);
                told.confirm(4, false);
                told.confirm(5, false);
            },
            &[3],
            1,
        )
        .await;
        // Those confirmed together are those that nothing was said of before.
        check(
            |told| {
                told.refuse(3, false);
                told.confirm(6, true);
            },
            &[3],
            1,
        )
        .await;
        check(
            |told| {
                told.refuse(2, true);
                told.confirm(0, true);
            },
            &[1, 2],
            2,
        )
        .await;
        check(
            |told| {
                told.refuse(2, true);
                told.end("gone");
            },
            &[1, 2, 3, 4, 5, 6],
            2,
        )
        .await;
    }

    #[tokio::test]
    async fn the_first_reason_counts() {
        let told = Told::default();
        told.end("403 no");
        told.end("the connection was lost");
        assert_eq!(told.ended().await, "403 no");
    }
}
