//! One proposal until its outcome is known: sent to the best member, and to the next when that one
//! fails or is slow.
//!
//! Sending a compare-and-swap again is safe: a revision is never used twice, so that of all copies
//! at most one succeeds. It is also needed: what a follower has passed on to a leader that just
//! died is lost, and the follower says so only after seven seconds. A copy that is not answered is
//! left in its place nevertheless, since a slow answer is better than none.

use crate::connection::Connection;
use crate::failure::Failure;
use crate::limits::{COPIES_MAX, HEDGE, RESEND};
use crate::members::Members;
use crate::messages::{Record, Swap, path, swap};
use crate::news::NotDone;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// What is to be done, by when.
pub(crate) struct Task {
    /// With the prefix.
    pub(crate) key: String,
    pub(crate) expected: u64,
    pub(crate) value: Vec<u8>,
    pub(crate) deadline: Instant,
}

/// Copies of one proposal on their ways.
pub(crate) struct Race {
    task: Task,
    members: Members,
    message: Arc<[u8]>,
    copies: JoinSet<(usize, Result<Swap, Failure>)>,
    /// When each member that has been asked may be asked again.
    rest: HashMap<usize, Instant>,
    sent: usize,
    /// A copy failed, and may yet have succeeded.
    doubtful: bool,
    last: Option<String>,
}

impl Race {
    pub(crate) fn new(task: Task, members: Members) -> Self {
        Self {
            message: swap(task.key.as_bytes(), task.expected, &task.value).into(),
            task,
            members,
            copies: JoinSet::new(),
            rest: HashMap::new(),
            sent: 0,
            doubtful: false,
            last: None,
        }
    }

    /// Returns the outcome, at the deadline at the latest.
    pub(crate) async fn run(mut self) -> Result<u64, NotDone> {
        if self.task.deadline <= Instant::now() {
            return Err(NotDone::Unavailable(
                "it was not sent, since earlier proposals for the same key took all the time"
                    .to_owned(),
            ));
        }
        let mut next = Instant::now();
        loop {
            if next <= Instant::now() {
                self.send_next();
                next = Instant::now() + HEDGE;
            }
            tokio::select! {
                Some(ended) = self.copies.join_next() => {
                    let Ok((member, answer)) = ended else { continue };
                    if let Some(outcome) = self.take(member, answer) {
                        return outcome;
                    }
                    next = Instant::now();
                }
                () = sleep_until(next) => {}
                () = self.members.changed(), if self.copies.is_empty() => next = Instant::now(),
                () = sleep_until(self.task.deadline) => return Err(self.give_up()),
            }
        }
    }

    fn send_next(&mut self) {
        let now = Instant::now();
        let may = |member| self.rest.get(&member).is_none_or(|until| *until <= now);
        if self.sent >= COPIES_MAX {
            return;
        }
        let Some((member, connection)) = self.members.best(may) else {
            return;
        };
        self.rest.insert(member, now + RESEND);
        self.sent += 1;
        let message = Arc::clone(&self.message);
        self.copies
            .spawn(async move { (member, send(connection, &message).await) });
    }

    /// The outcome, if the answer is one.
    fn take(
        &mut self,
        member: usize,
        answer: Result<Swap, Failure>,
    ) -> Option<Result<u64, NotDone>> {
        match answer {
            Ok(Swap::Done(revision)) => {
                self.members.prefer(member);
                Some(Ok(revision))
            }
            Ok(Swap::Not(current)) => {
                self.members.prefer(member);
                Some(self.compare(current))
            }
            Err(failure) => {
                self.rest.insert(member, Instant::now() + HEDGE);
                self.doubtful |= !failure.nothing_happened;
                self.last = Some(failure.sentence.clone());
                let settled = failure.is_final && !self.doubtful && self.copies.is_empty();
                settled.then_some(Err(NotDone::Unavailable(failure.sentence)))
            }
        }
    }

    /// The comparison failed: because of an earlier copy of ours?
    fn compare(&self, current: Option<Record>) -> Result<u64, NotDone> {
        match current {
            Some(record)
                if self.sent > 1
                    && record.revision > self.task.expected
                    && record.value == self.task.value =>
            {
                Ok(record.revision)
            }
            current => Err(NotDone::Conflict {
                current: current.map(|record| (record.value, record.revision)),
            }),
        }
    }

    fn give_up(&self) -> NotDone {
        let why = self.last.clone().or_else(|| self.members.trouble());
        let why = why.unwrap_or_else(|| "no member of etcd has answered in time".to_owned());
        match self.doubtful || !self.copies.is_empty() {
            true => NotDone::Unknown(why),
            false => NotDone::Unavailable(why),
        }
    }
}

async fn send(connection: Connection, message: &[u8]) -> Result<Swap, Failure> {
    connection.call(path::TXN, message, Swap::decode).await
}
