//! The witness: what is asked of it, what it carries out, and what its answer changes.

use crate::members::Members;
use crate::node::FREE;
use crate::pair::{Claim, Pair};
use crate::rule::Rule;
use crate::setting::Setting;
use crate::state::State;
use crate::step::{fault, ownership};
use crate::witness::{Request, Wish, Witness};

/// Whether `node` waits for no answer. What an earlier life asked for may be lost.
fn idle(state: &State, node: usize) -> bool {
    let incarnation = state.nodes[node].incarnation;
    state.nodes[node].up && state.requests[node].is_none_or(|r| r.incarnation != incarnation)
}

/// What `node` asks for to become the owner. It reads the record first: a request that would fail
/// at once is left out.
#[must_use]
pub fn promotion(setting: &Setting, state: &State, node: usize) -> Option<Wish> {
    let follower = &state.nodes[node];
    let spent = state.spent;
    let bounds = setting.bounds;
    let free = follower.owner.is_none() && idle(state, node);
    if !setting.witness() || !free || spent.takeovers >= bounds.takeovers {
        return None;
    }
    let epoch = state.witness.claim.epoch;
    let in_sync = state.witness.in_sync.has(node) && follower.synced.epoch == epoch;
    if follower.pair.is_some() && (in_sync || !setting.holds(Rule::InSyncOnly)) {
        Some(Wish::Promote(epoch))
    } else {
        (spent.pairs < bounds.pairs).then_some(Wish::Anew(epoch, spent.pairs))
    }
}

/// Whether the owner `node` asks to take `other` out of the in-sync set.
#[must_use]
pub fn may_shrink(setting: &Setting, state: &State, node: usize, other: usize) -> bool {
    setting.witness()
        && idle(state, node)
        && state.owner(node).is_some_and(|(owner, _)| {
            let lost = !state.open[node].has(other) || owner.strangers.has(other);
            node != other && owner.in_sync.has(other) && lost
        })
}

/// Whether the owner `node` asks to put `other` into the in-sync set: it has stored everything.
#[must_use]
pub fn may_add(setting: &Setting, state: &State, node: usize, other: usize) -> bool {
    let counts = setting.holds(Rule::CountFromTheSnapshot);
    setting.witness()
        && idle(state, node)
        && state.owner(node).is_some_and(|(owner, _)| {
            let stored = owner.stored[other].ceiling;
            owner.following.has(other)
                && !owner.in_sync.has(other)
                && stored > 0
                && (stored >= owner.limit || !counts)
        })
}

/// `node` asks.
pub fn ask(state: &mut State, node: usize, wish: Wish) {
    match wish {
        Wish::Promote(_) => state.spent.takeovers += 1,
        Wish::Anew(..) => {
            state.spent.takeovers += 1;
            state.spent.pairs += 1;
        }
        Wish::Shrink(..) | Wish::Add(..) => {}
    }
    state.requests[node] = Some(Request {
        incarnation: state.nodes[node].incarnation,
        wish,
        answer: None,
    });
}

/// The witness carries out what `node` has asked for.
pub fn carry_out(setting: &Setting, state: &mut State, node: usize) {
    let Some(mut request) = state.requests[node] else {
        return;
    };
    let record = state.witness;
    let in_sync = record.in_sync;
    let compared = setting.holds(Rule::CompareAndSwap);
    let member = in_sync.has(node) || !setting.holds(Rule::InSyncOnly);
    let only = |epoch: u8| Witness {
        claim: Claim::of(epoch + 1, node),
        in_sync: Members::only(node),
    };
    let set = |claim: Claim, in_sync: Members| Witness { claim, in_sync };
    let (succeeds, new) = match request.wish {
        Wish::Promote(epoch) => (record.claim.epoch == epoch && member, only(epoch)),
        Wish::Anew(epoch, _) => (record.claim.epoch == epoch, only(epoch)),
        Wish::Shrink(claim, other) => (
            record.claim == claim || !compared,
            set(claim, in_sync.without(usize::from(other))),
        ),
        Wish::Add(claim, other) => (
            record.claim == claim,
            set(claim, in_sync.with(usize::from(other))),
        ),
    };
    if succeeds {
        state.witness = new;
    }
    request.answer = Some(succeeds);
    let known = request.incarnation == state.nodes[node].incarnation;
    state.requests[node] = known.then_some(request);
}

/// Whether `node` has an answer to read.
#[must_use]
pub fn may_learn(state: &State, node: usize) -> bool {
    let incarnation = state.nodes[node].incarnation;
    state.nodes[node].up
        && state.requests[node].is_some_and(|r| r.answer.is_some() && r.incarnation == incarnation)
}

/// `node` reads the answer.
pub fn learn(setting: &Setting, state: &mut State, node: usize) {
    let Some(request) = state.requests[node].take() else {
        return;
    };
    let granted = request.answer == Some(true);
    match request.wish {
        Wish::Promote(epoch) if granted => promoted(setting, state, node, epoch, None),
        Wish::Anew(epoch, sa) if granted => {
            promoted(setting, state, node, epoch, Some(Pair::fresh(sa)));
        }
        Wish::Promote(_) | Wish::Anew(..) => {}
        Wish::Shrink(claim, other) | Wish::Add(claim, other) => {
            let Some((owner, _)) = state.owner_mut(node).filter(|(o, _)| o.claim == claim) else {
                return;
            };
            if !granted {
                see(setting, state, node);
                return;
            }
            let other = usize::from(other);
            if let Wish::Shrink(..) = request.wish {
                owner.in_sync = owner.in_sync.without(other);
                owner.release(other);
                if setting.holds(Rule::RemovedIsDisconnected) {
                    state.close(node, other);
                }
                fault::let_go(setting, state, node);
                return;
            }
            owner.in_sync = owner.in_sync.with(other);
            if !owner.required.has(other) {
                let first = owner.limit == FREE;
                owner.limit = if first { 0 } else { owner.limit };
                owner.required = owner.required.with(other);
                owner.raise();
            }
            fault::let_go(setting, state, node);
        }
    }
}

/// Whether an owner sees in the witness's record that it owns no longer.
#[must_use]
pub fn may_see(setting: &Setting, state: &State, node: usize) -> bool {
    let owner = state.owner(node);
    setting.witness() && owner.is_some_and(|(owner, _)| owner.claim < state.witness.claim)
}

/// An owner that owns no longer gives way. Without this it would be safe, but might go on in place
/// of a newer owner that has crashed, with a standby that the witness does not let take over.
pub fn see(setting: &Setting, state: &mut State, node: usize) {
    let better = state.witness.claim;
    ownership::meet(setting, state, node, better);
}

/// The witness has made `node` the owner: with the copy that it holds by now, or with new SAs. If
/// it has followed a better claim meanwhile, it is too late.
fn promoted(setting: &Setting, state: &mut State, node: usize, epoch: u8, fresh: Option<Pair>) {
    let claim = Claim::of(epoch + 1, node);
    let follower = &mut state.nodes[node];
    if follower.promise >= claim || follower.owner.is_some() {
        return;
    }
    if fresh.is_some() {
        follower.pair = fresh;
    }
    ownership::activate(setting, state, node, claim);
}
