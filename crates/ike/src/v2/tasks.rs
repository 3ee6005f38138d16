//! What an established IKE SA has yet to ask (RFC 7296 sections 2.3 and 2.25).

use std::time::Instant;

use policy::selector::Direction;

use crate::command::Acquire;
use crate::config::ChildRule;
use crate::context::Context;
use crate::limits;
use crate::pair::Child;
use crate::v2::sa::{Exchange, Kind, Sa, Task};

impl Sa {
    /// Queues a task, unless there are too many.
    pub(crate) fn queue(&mut self, task: Task) -> bool {
        let fits = self.tasks.len() < limits::QUEUE;
        if fits {
            self.tasks.push_back(task);
        }
        fits
    }

    /// Queues the replacement of this IKE SA, unless that is under way.
    pub(crate) fn rekey_soon(&mut self) {
        self.rekey_at = None;
        let task = |task: &Task| matches!(task, Task::RekeyIke { .. });
        let flies = |one: &Exchange| matches!(one.kind, Kind::RekeyIke { .. });
        let waits = self.tasks.iter().any(task) || self.delayed.iter().any(|one| task(&one.1));
        if !waits && !self.exchanges.iter().any(flies) {
            self.queue(Task::RekeyIke { tries: 0 });
        }
    }

    /// Queues a task again after a while, because the peer is busy with something that collides.
    pub(crate) fn delay(&mut self, task: Task, ctx: &mut Context<'_>) {
        let wait = limits::TEMPORARY_WAIT + ctx.jitter(limits::TEMPORARY_WAIT);
        self.delayed.push((ctx.now + wait, task));
    }

    /// Takes out the requests for new children that the rules do not want any more.
    pub(crate) fn withdraw(&mut self, rules: &[ChildRule]) -> Vec<Acquire> {
        let mut gone = Vec::new();
        let mut is_kept = |task: &Task| match task {
            Task::CreateChild { acquire, .. } if !acquire.is_wanted(rules) => {
                gone.push((**acquire).clone());
                false
            }
            _ => true,
        };
        self.tasks.retain(&mut is_kept);
        self.delayed.retain(|(_, task)| is_kept(task));
        gone
    }

    /// The time has come for delayed tasks.
    pub(crate) fn wake(&mut self, now: Instant) {
        let mut due = std::mem::take(&mut self.delayed);
        self.delayed = due.extract_if(.., |one| one.0 > now).collect();
        self.tasks.extend(due.into_iter().map(|(_, task)| task));
    }

    /// Whether a live child or a queued request already serves this.
    pub(crate) fn serves(&self, wanted: &Acquire) -> bool {
        let same = |one: &Acquire| one.rule == wanted.rule && one.selectors == wanted.selectors;
        let carries = |child: &Child| match wanted.flow {
            Some(flow) => child.spec.selectors.contains(&flow, Direction::Outbound),
            None => child.spec.selectors == wanted.selectors,
        };
        let serves = |child: &Child| child.is_live() && child.rule == wanted.rule && carries(child);
        let queued =
            |task: &Task| matches!(task, Task::CreateChild { acquire, .. } if same(acquire));
        let flying = |one: &Exchange| match &one.kind {
            Kind::CreateChild { offer, .. } => same(&offer.acquire),
            _ => false,
        };
        self.children.iter().any(serves)
            || self.tasks.iter().any(queued)
            || self.delayed.iter().any(|(_, task)| queued(task))
            || self.exchanges.iter().any(flying)
    }
}
