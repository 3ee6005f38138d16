//! What waits to be sent on one connection: bounded in bytes, wiped when it is not needed.

use crate::frame::{HEADER, Message, header};
use crate::limits::MAX_BATCH;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What a waiting message costs beside its own bytes: many empty ones must not be free.
const COST: usize = HEADER + size_of::<Message>();

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// The connection is over.
    Closed,
    /// There is no room: the connection ends.
    Overflow,
    /// The message is longer than any may be; the connection goes on.
    TooLong,
}

struct Queue {
    messages: VecDeque<([u8; HEADER], Message)>,
    bytes: usize,
    closed: Option<Rejected>,
}

/// The queue of one connection. A later connection has another, so that nothing meant for an
/// earlier one is sent on it.
pub(crate) struct Outbox {
    limit: usize,
    queue: Mutex<Queue>,
    filled: Notify,
    overflowed: Notify,
}

impl Outbox {
    /// An empty queue for at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            queue: Mutex::new(Queue {
                messages: VecDeque::new(),
                bytes: 0,
                closed: None,
            }),
            filled: Notify::new(),
            overflowed: Notify::new(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message.
    ///
    /// # Errors
    /// [`Rejected`]; after an overflow nothing that waited is kept.
    pub(crate) fn push(&self, message: Message) -> Result<(), Rejected> {
        let header = header(&message).ok_or(Rejected::TooLong)?;
        let mut queue = self.queue();
        if let Some(why) = queue.closed {
            return Err(why);
        }
        let bytes = queue.bytes + message.len() + COST;
        if bytes > self.limit {
            queue.close(Rejected::Overflow);
            self.overflowed.notify_one();
            return Err(Rejected::Overflow);
        }
        queue.bytes = bytes;
        queue.messages.push_back((header, message));
        // Whoever sends looks for more before it sleeps: one wake per filling is enough.
        if queue.messages.len() == 1 {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.queue().bytes
    }

    /// Ends the queue and wipes what waits.
    pub(crate) fn close(&self) {
        self.queue().close(Rejected::Closed);
    }

    /// Waits until something is queued.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Waits until there was no room for a message.
    pub(crate) async fn overflowed(&self) {
        self.overflowed.notified().await;
    }

    /// Moves whole messages with their headers to `batch`, up to [`MAX_BATCH`] bytes in all. One
    /// that alone is longer is given back, and only its header goes to the batch. Whether there
    /// was any.
    pub(crate) fn take(&self, batch: &mut Vec<u8>) -> (bool, Option<Message>) {
        let mut queue = self.queue();
        let mut any = false;
        while let Some((header, message)) = queue.messages.pop_front() {
            if any && batch.len() + HEADER + message.len() > MAX_BATCH {
                queue.messages.push_front((header, message));
                break;
            }
            any = true;
            queue.bytes -= message.len() + COST;
            batch.extend_from_slice(&header);
            if HEADER + message.len() > MAX_BATCH {
                return (true, Some(message));
            }
            batch.extend_from_slice(&message);
        }
        (any, None)
    }
}

impl Queue {
    fn close(&mut self, why: Rejected) {
        self.closed.get_or_insert(why);
        self.messages = VecDeque::new();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn message(length: usize, byte: u8) -> Message {
        Zeroizing::new(vec![byte; length])
    }

    #[test]
    fn small_messages_share_a_batch_and_long_ones_go_alone() {
        let outbox = Outbox::new(1 << 20);
        let lengths = [10, MAX_BATCH, 20, 30, MAX_BATCH - HEADER, 0];
        for (byte, length) in lengths.into_iter().enumerate() {
            outbox.push(message(length, byte as u8)).unwrap();
        }
        let mut batches = Vec::new();
        loop {
            let mut batch = Vec::with_capacity(MAX_BATCH);
            let (any, tail) = outbox.take(&mut batch);
            if !any {
                break;
            }
            assert!(batch.len() <= MAX_BATCH && batch.capacity() == MAX_BATCH);
            batches.push((batch.len(), tail.map(|tail| tail.len())));
        }
        let expected = [
            (14, None),
            (4, Some(MAX_BATCH)),
            (24 + 34, None),
            (MAX_BATCH, None),
            (4, None),
        ];
        assert_eq!(batches, expected);
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn one_byte_too_many_ends_it() {
        let outbox = Outbox::new(2 * (100 + COST));
        outbox.push(message(100, 1)).unwrap();
        outbox.push(message(100, 2)).unwrap();
        assert_eq!(outbox.push(message(0, 3)), Err(Rejected::Overflow));
        assert_eq!(outbox.bytes(), 0);
        assert_eq!(outbox.push(message(1, 4)), Err(Rejected::Overflow));
        let outbox = Outbox::new(100);
        let long = message(crate::limits::MAX_MESSAGE + 1, 0);
        assert_eq!(outbox.push(long), Err(Rejected::TooLong));
        outbox.push(message(1, 4)).unwrap();
        outbox.close();
        assert_eq!(outbox.push(message(1, 4)), Err(Rejected::Closed));
    }

    #[test]
    fn empty_messages_are_not_free() {
        let outbox = Outbox::new(10 * COST);
        let taken = (0..100).take_while(|_| outbox.push(message(0, 0)).is_ok());
        assert_eq!(taken.count(), 10);
    }
}
