//! Becoming the owner, giving way, and replacing the pair of SAs.

use crate::node::Owner;
use crate::pair::{Claim, Pair};
use crate::rule::Rule;
use crate::setting::Setting;
use crate::state::State;

/// Whether `node` takes over without asking anybody, with what it holds or else with new SAs.
#[must_use]
pub fn may_take_over(setting: &Setting, state: &State, node: usize) -> bool {
    let follower = &state.nodes[node];
    !setting.witness()
        && follower.up
        && follower.owner.is_none()
        && state.spent.takeovers < setting.bounds.takeovers
        && (follower.pair.is_some() || state.spent.pairs < setting.bounds.pairs)
}

/// `node` takes over without asking anybody.
pub fn take_over(setting: &Setting, state: &mut State, node: usize) {
    state.spent.takeovers += 1;
    let claim = state.nodes[node].promise.next(node);
    activate(setting, state, node, claim);
}

/// `node` owns from now on with this claim, alone: it starts where nobody else can have been.
pub fn activate(setting: &Setting, state: &mut State, node: usize, claim: Claim) {
    let owner = &mut state.nodes[node];
    owner.promise = claim;
    owner.synced = Claim::default();
    owner.owner = Some(Owner::alone(claim, node));
    match &mut owner.pair {
        Some(pair) => {
            if setting.holds(Rule::StartAtTheCeiling) {
                pair.next = pair.ceiling;
            }
            if !setting.holds(Rule::ResendWhatIsStored) {
                pair.ike.clear();
            }
        }
        None => renew(state, node),
    }
}

/// `node` hears of a claim: it gives way to a better one, and what it held is out of sync.
pub fn meet(setting: &Setting, state: &mut State, node: usize, better: Claim) {
    let loser = &mut state.nodes[node];
    if let Some(owner) = loser.owner.as_ref().filter(|owner| owner.claim < better) {
        loser.synced = owner.claim;
        loser.promise = better;
        loser.owner = None;
        if setting.holds(Rule::InSyncOnly) {
            loser.pair = None;
            loser.synced = Claim::default();
        }
    }
}

/// Whether `node` replaces its pair of SAs: without a witness it can go on in no other way when the
/// node that holds a copy is out of reach, or has come back in another life.
#[must_use]
pub fn may_replace(setting: &Setting, state: &State, node: usize) -> bool {
    !setting.witness()
        && state.spent.pairs < setting.bounds.pairs
        && state.owner(node).is_some_and(|(owner, _)| {
            let other = 1 - node;
            let lost = !state.open[node].has(other) || owner.strangers.has(other);
            owner.required.has(other) && lost
        })
}

/// `node` replaces its pair of SAs by one that nobody else has ever seen.
pub fn replace(state: &mut State, node: usize) {
    renew(state, node);
    if let Some((owner, _)) = state.owner_mut(node) {
        owner.transmitted = 0;
        for other in owner.required.iter() {
            owner.release(other);
        }
    }
}

/// New keys, new SPIs.
pub fn renew(state: &mut State, node: usize) {
    state.nodes[node].pair = Some(Pair::fresh(state.spent.pairs));
    state.spent.pairs += 1;
}
