//! Proposals in their order: one at a time for each key, keys beside each other.

use crate::members::Members;
use crate::news::{News, NotDone};
use crate::race::{Race, Task};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;

/// A proposal that was taken.
pub(crate) struct Proposal {
    pub(crate) tag: u64,
    pub(crate) task: Task,
    /// Its place among [`crate::limits::PROPOSALS_MAX`], free again after the outcome.
    pub(crate) place: OwnedSemaphorePermit,
}

struct Done {
    tag: u64,
    key: String,
    result: Result<u64, NotDone>,
    _place: OwnedSemaphorePermit,
}

/// Carries proposals out.
pub(crate) struct Proposals {
    pub(crate) members: Members,
    pub(crate) news: mpsc::Sender<News>,
    /// Octets of the prefix.
    pub(crate) prefix: usize,
    /// Makes the watch read everything again.
    pub(crate) read_again: Arc<Notify>,
}

impl Proposals {
    /// Runs until the handle is dropped, or the news are.
    pub(crate) async fn run(self, mut taken: mpsc::UnboundedReceiver<Proposal>) {
        let mut waiting: HashMap<String, VecDeque<Proposal>> = HashMap::new();
        let mut races = JoinSet::new();
        loop {
            tokio::select! {
                proposal = taken.recv() => {
                    let Some(proposal) = proposal else { return };
                    match waiting.get_mut(&proposal.task.key) {
                        Some(queue) => queue.push_back(proposal),
                        None => {
                            waiting.insert(proposal.task.key.clone(), VecDeque::new());
                            self.start(&mut races, proposal);
                        }
                    }
                }
                Some(Ok(done)) = races.join_next() => {
                    match waiting.get_mut(&done.key).and_then(VecDeque::pop_front) {
                        Some(next) => self.start(&mut races, next),
                        None => { waiting.remove(&done.key); }
                    }
                    if self.tell(done).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn start(&self, races: &mut JoinSet<Done>, proposal: Proposal) {
        let Proposal { tag, task, place } = proposal;
        let members = self.members.clone();
        races.spawn(async move {
            let key = task.key.clone();
            let result = Race::new(task, members).run().await;
            Done {
                tag,
                key,
                result,
                _place: place,
            }
        });
    }

    async fn tell(&self, done: Done) -> Result<(), mpsc::error::SendError<News>> {
        let doubtful = matches!(done.result, Err(NotDone::Unknown(_)));
        let outcome = News::Outcome {
            tag: done.tag,
            key: done.key.get(self.prefix..).unwrap_or_default().to_owned(),
            result: done.result,
        };
        self.news.send(outcome).await?;
        if doubtful {
            self.read_again.notify_one();
        }
        Ok(())
    }
}
