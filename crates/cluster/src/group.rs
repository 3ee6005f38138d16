//! One group on this node: who owns it, what the driver does with it, and what follows from both.

mod written;

use std::collections::VecDeque;
use std::time::Instant;

use crate::claim::{Claim, Life};
use crate::event::Event;
use crate::heartbeat::GroupReport;
use crate::names::NodeName;
use crate::output::{Outbox, Output, Timer};
use crate::parts::{Failback, GroupConfig};
use crate::reason::{MoveReason, Refusal, StartReason, StopReason};
use crate::settle::Settle;
use crate::status::{Ability, GroupState, GroupStatus};
use crate::view::View;
use crate::witness::Ledger;

/// Why this node, the owner, stops the group, and what comes after.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leave {
    /// It goes to another node.
    Give(Life, MoveReason),
    /// It is started here again.
    Restart,
    /// It stays here, stopped, until it can be tried again.
    GiveUp,
}

/// A group.
pub(crate) struct Group {
    pub(crate) config: GroupConfig,
    claim: Claim,
    /// What the driver does with it here.
    run: GroupState,
    run_since: Instant,
    /// The epoch of the last `Start`.
    run_epoch: u64,
    leave: Option<Leave>,
    /// When this node became the owner.
    owned_since: Instant,
    failures: VecDeque<Instant>,
    /// It failed here too often: until when it is not started here unless somebody insists.
    unable_until: Option<Instant>,
    /// What on this host keeps it from running here.
    barred: Option<String>,
    /// Since when nobody owns it, and whether that was said.
    unowned_since: Option<Instant>,
    unowned_told: bool,
    /// The node that ran the group at the same time.
    rival: Option<NodeName>,
    /// What the witness has written down.
    ledger: Ledger,
    /// When a proposal that came to nothing is made again.
    propose_at: Option<Instant>,
    /// When the next sign of life is due in the record.
    sign_at: Option<Instant>,
    proposals: u64,
    /// Whether the witness lets this node go on with what the owner before had.
    entitled: bool,
    /// The group is new (reload): who owns it must be heard first.
    pub(crate) settle: Option<Settle>,
    /// It has left the configuration.
    pub(crate) removed: bool,
    seen: (Option<NodeName>, GroupState),
    seen_since: Instant,
}

impl Group {
    pub(crate) fn new(config: GroupConfig, now: Instant, settle: Option<Settle>) -> Self {
        Self {
            config,
            claim: Claim::none(),
            run: GroupState::Offline,
            run_since: now,
            run_epoch: 0,
            leave: None,
            owned_since: now,
            failures: VecDeque::new(),
            unable_until: None,
            barred: None,
            unowned_since: None,
            unowned_told: false,
            rival: None,
            ledger: Ledger::default(),
            propose_at: None,
            sign_at: None,
            proposals: 0,
            entitled: true,
            settle,
            removed: false,
            seen: (None, GroupState::Offline),
            seen_since: now,
        }
    }

    pub(crate) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Whether the driver has nothing to do with it any more.
    pub(crate) fn at_rest(&self) -> bool {
        matches!(self.run, GroupState::Offline | GroupState::Failed)
    }

    pub(crate) fn able(&self) -> bool {
        self.ability() == Ability::Able
    }

    fn ability(&self) -> Ability {
        match (&self.barred, self.unable_until) {
            (Some(_), _) => Ability::Barred,
            (None, Some(_)) => Ability::Failed,
            (None, None) => Ability::Able,
        }
    }

    /// What this node's heartbeats say about it.
    pub(crate) fn report(&self) -> GroupReport {
        GroupReport {
            group: self.config.name.clone(),
            claim: self.claim.clone(),
            state: self.run,
            ability: self.ability(),
        }
    }

    /// Takes in what a peer said; whether the peer should be told better at once.
    pub(crate) fn hear(&mut self, report: &GroupReport, view: &View, out: &mut Outbox) -> bool {
        // That it is given the group, and with what, this node learns from the witness itself.
        let hearsay = view.witness.is_some() && view.is_mine(&report.claim);
        if report.claim.beats(&self.claim, &self.config) && !hearsay {
            self.adopt(report.claim.clone(), view, out);
        }
        report.state.holds() && self.claim.beats(&report.claim, &self.config)
    }

    fn adopt(&mut self, claim: Claim, view: &View, out: &mut Outbox) {
        let before = std::mem::replace(&mut self.claim, claim);
        out.news = true;
        self.unowned_since = None;
        self.unowned_told = false;
        let mine = view.is_mine(&self.claim);
        if !mine {
            self.leave = None;
        } else if before.owner != self.claim.owner {
            self.owned_since = view.now;
            if self.claim.reason == MoveReason::Planned {
                self.forgive();
            }
        }
        let Some(to) = self.claim.owner_name() else {
            return;
        };
        if before.owner_name() != Some(to) {
            out.event(Event::GroupMoved {
                group: self.config.name.clone(),
                from: before.owner_name().cloned(),
                to: to.clone(),
                epoch: self.claim.epoch,
                reason: self.claim.reason,
            });
        }
    }

    /// Forgets the failures here: somebody wants it to run here.
    fn forgive(&mut self) {
        self.failures.clear();
        self.unable_until = None;
    }

    /// Orders a move by hand of a group that this node owns.
    ///
    /// # Errors
    /// Why it is not done.
    pub(crate) fn order_move(&mut self, to: &NodeName, view: &View) -> Result<(), Refusal> {
        if self.leave.is_some() || self.removed {
            return Err(Refusal::Moving);
        }
        if *to == view.me.node {
            if self.barred.is_some() {
                return Err(Refusal::TargetBarred);
            }
            if self.run != GroupState::Failed {
                return Err(Refusal::AlreadyThere);
            }
            self.forgive();
            return Ok(());
        }
        self.leave = Some(Leave::Give(
            view.target(to, &self.config)?,
            MoveReason::Planned,
        ));
        Ok(())
    }

    /// Takes a group that nobody owns, by hand.
    pub(crate) fn order_take(&mut self, view: &View, out: &mut Outbox) {
        self.claim_for(
            self.claim.next(view.me.clone(), MoveReason::Planned),
            view,
            out,
        );
    }

    /// The driver has started it.
    pub(crate) fn started(&mut self, now: Instant, out: &mut Outbox) {
        if self.run == GroupState::Starting {
            let took = now.saturating_duration_since(self.run_since);
            self.enter(GroupState::Online, now, out);
            let group = self.config.name.clone();
            out.event(Event::GroupOnline {
                group,
                epoch: self.run_epoch,
                took,
            });
        }
    }

    /// The driver has stopped it.
    pub(crate) fn stopped(&mut self, now: Instant, out: &mut Outbox) {
        if self.run == GroupState::Stopping {
            let took = now.saturating_duration_since(self.run_since);
            self.enter(GroupState::Offline, now, out);
            out.event(Event::GroupOffline {
                group: self.config.name.clone(),
                took,
            });
        }
    }

    /// The driver could not start it, or it failed while it was up.
    pub(crate) fn failed(&mut self, reason: String, view: &View, out: &mut Outbox) {
        if self.at_rest() {
            return;
        }
        let period = self.config.restart_period;
        self.failures
            .retain(|at| view.now.saturating_duration_since(*at) < period);
        let threshold = self.config.restart_threshold;
        // One beyond the threshold is all that counts; this also bounds the memory.
        while self.failures.len() > threshold as usize {
            self.failures.pop_front();
        }
        self.failures.push_back(view.now);
        let failures = self.failures.len() as u32;
        let group = self.config.name.clone();
        out.event(Event::GroupFailed {
            group,
            reason,
            failures,
            threshold,
        });
        if failures > threshold {
            self.unable_until = Some(view.now + period);
        }
        if self.run != GroupState::Stopping && view.is_mine(&self.claim) && self.leave.is_none() {
            self.leave = Some(match view.receiver(&self.claim, &self.config) {
                _ if self.able() => Leave::Restart,
                Some(heir) => Leave::Give(heir, MoveReason::Failure),
                None => Leave::GiveUp,
            });
        }
    }

    /// Something on this host keeps it from running here, or does so no longer.
    pub(crate) fn set_barred(&mut self, why: Option<String>, out: &mut Outbox) {
        if self.barred != why {
            self.barred.clone_from(&why);
            out.news = true;
            let group = self.config.name.clone();
            out.event(Event::GroupBarred { group, why });
        }
    }

    /// Does what follows from what is known now, until nothing more follows.
    pub(crate) fn step(&mut self, view: &View, out: &mut Outbox) {
        if self
            .settle
            .is_some_and(|settle| settle.done(&view.peers, view.now))
        {
            self.settle = None;
        }
        if self.unable_until.is_some_and(|until| view.now >= until) {
            self.forgive();
            out.news = true;
        }
        // Each turn enters another state; four turns reach the furthest.
        for _ in 0..4 {
            let more = match self.run {
                GroupState::Starting | GroupState::Online => self.step_running(view, out),
                GroupState::Stopping => false,
                _ if view.is_mine(&self.claim) => self.step_stopped(view, out),
                _ => self.step_elsewhere(view, out),
            };
            if !more {
                break;
            }
        }
        self.write_record(view, out);
        self.note(view);
    }

    fn unsettled(&self, view: &View) -> bool {
        view.unsettled() || self.settle.is_some()
    }

    /// It runs here.
    fn step_running(&mut self, view: &View, out: &mut Outbox) -> bool {
        if !view.is_mine(&self.claim) {
            let to = self.claim.owner_name().cloned();
            self.stop(
                StopReason::Lost {
                    to,
                    epoch: self.claim.epoch,
                },
                view,
                out,
            );
            return true;
        }
        if self.unsettled(view) {
            return false;
        }
        if self.removed {
            self.stop(StopReason::Removed, view, out);
            return true;
        }
        if self.leave.is_none() {
            self.leave = self.wish(view);
        }
        match &self.leave {
            Some(Leave::Give(to, reason)) => {
                if !self.still_fits(to, *reason, view) {
                    self.abandon(out);
                    return true;
                }
                let (to, reason) = (to.node.clone(), *reason);
                self.stop(StopReason::Move { to, reason }, view, out);
                true
            }
            Some(Leave::Restart) => self.stop(StopReason::Restart, view, out),
            Some(Leave::GiveUp) => self.stop(StopReason::Failed, view, out),
            None if view.leaving => self.stop(StopReason::Shutdown, view, out),
            None => self.watch_rivals(view, out),
        }
    }

    /// A move that nobody ordered but that is due.
    fn wish(&self, view: &View) -> Option<Leave> {
        if view.leaving {
            let heir = view.receiver(&self.claim, &self.config)?;
            return Some(Leave::Give(heir, MoveReason::Shutdown));
        }
        // Where nobody can take it, it stays: what is in the way may go.
        if self.barred.is_some()
            && let Some(heir) = view.receiver(&self.claim, &self.config)
        {
            return Some(Leave::Give(heir, MoveReason::Failure));
        }
        if let Some(rival) = view.deaf_rival(&self.config) {
            return Some(Leave::Give(rival, MoveReason::Conflict));
        }
        let (at, to) = self.failback(view)?;
        (view.now >= at).then_some(Leave::Give(to, MoveReason::Failback))
    }

    /// When the group returns, and to whom.
    fn failback(&self, view: &View) -> Option<(Instant, Life)> {
        let Failback::After(hold) = self.config.failback else {
            return None;
        };
        if self.run != GroupState::Online || self.leave.is_some() || self.unsettled(view) {
            return None;
        }
        let to = view.receiver(&self.claim, &self.config)?;
        let back = view.peer(&to.node)?.up_since();
        let preferred = self.config.rank(&to.node) < self.config.rank(&view.me.node);
        (preferred && back > self.owned_since).then_some((back + hold, to))
    }

    fn still_fits(&self, to: &Life, reason: MoveReason, view: &View) -> bool {
        if reason == MoveReason::Conflict {
            return view
                .peer(&to.node)
                .is_some_and(|peer| peer.up() && peer.life() == *to);
        }
        view.target(&to.node, &self.config).as_ref() == Ok(to)
    }

    /// The node that was to get the group cannot take it any more. A group that runs goes on, one
    /// that failed too often stops here.
    fn abandon(&mut self, out: &mut Outbox) {
        if let Some(Leave::Give(to, reason)) = self.leave.take() {
            if reason == MoveReason::Failure && self.unable_until.is_some() {
                self.leave = Some(Leave::GiveUp);
            }
            let group = self.config.name.clone();
            out.event(Event::MoveAbandoned { group, to: to.node });
        }
    }

    /// Another node that ran the group at the same time has let go: its neighbours must learn
    /// again where the addresses are. The same when the epoch grew under the same owner.
    fn watch_rivals(&mut self, view: &View, out: &mut Outbox) -> bool {
        match (view.rival(&self.config).cloned(), &self.rival) {
            (Some(with), None) => {
                self.rival = Some(with.clone());
                let group = self.config.name.clone();
                out.event(Event::Conflict {
                    group,
                    with,
                    epoch: self.claim.epoch,
                });
                return false;
            }
            (None, Some(_)) => self.rival = None,
            _ if self.claim.epoch > self.run_epoch => {}
            _ => return false,
        }
        self.run_epoch = self.claim.epoch;
        self.push_start(StartReason::Reassert, out);
        false
    }

    /// It is this node's, and at rest.
    fn step_stopped(&mut self, view: &View, out: &mut Outbox) -> bool {
        if self.unsettled(view) || self.removed {
            return false;
        }
        if !matches!(self.leave, Some(Leave::Give(..))) {
            self.leave = self.reason_to_give(view);
        }
        match &self.leave {
            Some(Leave::Give(to, reason)) if self.still_fits(to, *reason, view) => {
                let next = self.claim.next(to.clone(), *reason);
                if self.claim_for(next, view, out) {
                    self.run = GroupState::Offline;
                }
                return false;
            }
            Some(Leave::Give(..)) => {
                if self.in_doubt(view, out) {
                    return false;
                }
                self.abandon(out);
                return true;
            }
            _ => {}
        }
        if view.leaving {
            return false;
        }
        if self.barred.is_some() {
            if self.run != GroupState::Failed {
                self.enter(GroupState::Failed, view.now, out);
            }
            return false;
        }
        if let Some(until) = self.unable_until {
            if self.run != GroupState::Failed {
                self.enter(GroupState::Failed, view.now, out);
                let retry_in = until.saturating_duration_since(view.now);
                out.event(Event::GroupGivenUp {
                    group: self.config.name.clone(),
                    retry_in,
                });
            }
            return false;
        }
        self.start(view, out);
        true
    }

    fn reason_to_give(&self, view: &View) -> Option<Leave> {
        let reason = if view.leaving {
            MoveReason::Shutdown
        } else if !self.able() {
            MoveReason::Failure
        } else {
            return None;
        };
        Some(Leave::Give(
            view.receiver(&self.claim, &self.config)?,
            reason,
        ))
    }

    /// It is not this node's, and at rest here.
    fn step_elsewhere(&mut self, view: &View, out: &mut Outbox) -> bool {
        self.run = GroupState::Offline;
        if self.unsettled(view) || self.removed {
            return false;
        }
        if view.is_owned(&self.claim, &self.config) {
            self.unowned_since = None;
            self.unowned_told = false;
            return false;
        }
        // Patience begins when something can be done.
        if view.witness == Some(false) {
            self.unowned_since = None;
            return false;
        }
        let since = *self.unowned_since.get_or_insert(view.now);
        let heir = self.heir(view);
        let waited = view.now >= self.end_of_patience(since, view);
        if heir.as_ref() == Some(&view.me) || (waited && view.may_take(self.able())) {
            let reason = match self.claim.owner {
                Some(_) => MoveReason::NodeDown,
                None => MoveReason::FirstStart,
            };
            let next = self.claim.next(view.me.clone(), reason);
            return self.claim_for(next, view, out);
        }
        if heir.is_none() && !std::mem::replace(&mut self.unowned_told, true) {
            out.event(Event::GroupUnowned {
                group: self.config.name.clone(),
            });
        }
        false
    }

    fn start(&mut self, view: &View, out: &mut Outbox) {
        let again = self.run_epoch == self.claim.epoch;
        self.run_epoch = self.claim.epoch;
        self.rival = None;
        self.enter(GroupState::Starting, view.now, out);
        let took = StartReason::Took(self.claim.reason);
        self.push_start(if again { StartReason::Restart } else { took }, out);
    }

    fn push_start(&self, reason: StartReason, out: &mut Outbox) {
        let group = self.config.name.clone();
        out.push(Output::Start {
            group,
            epoch: self.run_epoch,
            reason,
            entitled: self.entitled,
        });
    }

    /// Always answers `true`: something changed.
    fn stop(&mut self, reason: StopReason, view: &View, out: &mut Outbox) -> bool {
        self.enter(GroupState::Stopping, view.now, out);
        let group = self.config.name.clone();
        out.push(Output::Stop {
            group,
            epoch: self.run_epoch,
            reason,
        });
        true
    }

    fn enter(&mut self, state: GroupState, now: Instant, out: &mut Outbox) {
        self.run = state;
        self.run_since = now;
        out.news = true;
    }

    /// Notes who owns the group in which state, and since when.
    fn note(&mut self, view: &View) {
        let owned = view.is_owned(&self.claim, &self.config);
        let owner = self.claim.owner_name().filter(|_| owned);
        let state = match owner {
            Some(owner) if *owner == view.me.node => self.run,
            Some(owner) => {
                let report = view
                    .peer(owner)
                    .and_then(|peer| peer.report(&self.config.name));
                report.map_or(GroupState::Offline, |report| report.state)
            }
            None => GroupState::Offline,
        };
        let seen = (owner.cloned(), state);
        if seen != self.seen {
            self.seen = seen;
            self.seen_since = view.now;
        }
    }

    pub(crate) fn deadlines(&self, view: &View) -> impl Iterator<Item = (Instant, Timer)> {
        let settle = self.settle.map(|settle| (settle.until, Timer::Settle));
        let retry = self.unable_until.map(|until| (until, Timer::Retry));
        let patience = self
            .unowned_since
            .map(|since| self.end_of_patience(since, view));
        let patience = patience.map(|at| (at, Timer::Patience));
        let mine = view.is_mine(&self.claim);
        let failback = self
            .failback(view)
            .filter(|_| mine)
            .map(|(at, _)| (at, Timer::Failback));
        let propose = self.propose_at.map(|at| (at, Timer::Witness));
        let sign = self.sign_at.map(|at| (at, Timer::Witness));
        let all = [settle, retry, patience, failback, propose, sign];
        all.into_iter().flatten()
    }

    pub(crate) fn status(&self, now: Instant) -> GroupStatus {
        let period = self.config.restart_period;
        let recent = |at: &&Instant| now.saturating_duration_since(**at) < period;
        GroupStatus {
            name: self.config.name.clone(),
            owner: self.seen.0.clone(),
            epoch: self.claim.epoch,
            state: self.seen.1,
            since: now.saturating_duration_since(self.seen_since),
            here: self.run,
            failures: self.failures.iter().filter(recent).count() as u32,
        }
    }
}

/// Takes the groups of a new configuration: a new one finds out first who owns it, one that is
/// gone is stopped first and forgotten then.
pub(crate) fn renew(groups: &mut Vec<Group>, wanted: &[GroupConfig], settle: Settle) {
    let mut old = std::mem::take(groups);
    for config in wanted {
        let known = old
            .iter()
            .position(|known| known.config.name == config.name);
        groups.push(match known.map(|position| old.remove(position)) {
            Some(mut known) => {
                known.config = config.clone();
                known.removed = false;
                known
            }
            None => Group::new(config.clone(), settle.since, Some(settle)),
        });
    }
    old.iter_mut().for_each(|group| group.removed = true);
    groups.append(&mut old);
}
