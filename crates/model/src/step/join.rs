//! Replication: the snapshot that begins it, and what each message does to its receiver.

use crate::message::Message;
use crate::node::{FREE, Stored};
use crate::pair::{Claim, Pair};
use crate::rule::Rule;
use crate::setting::{BLOCK, Setting};
use crate::state::State;
use crate::step::{ownership, traffic};

/// Whether `node` sends a snapshot to `other`.
#[must_use]
pub fn may_sync(setting: &Setting, state: &State, node: usize, other: usize) -> bool {
    state.owner(node).is_some_and(|(owner, _)| {
        let known = !owner.strangers.has(other) || !setting.holds(Rule::SetNamesIncarnations);
        state.open[node].has(other) && !owner.following.has(other) && known
    })
}

/// `node` sends everything to `other`, and from now on needs its acknowledgements: `other` may
/// store the snapshot and take over before `node` hears of it. What was sent alone lies below.
pub fn sync(setting: &Setting, state: &mut State, node: usize, other: usize) {
    let incarnation = state.heard[node][other];
    let Some((owner, pair)) = state.owner_mut(node) else {
        return;
    };
    let counts = setting.holds(Rule::CountFromTheSnapshot);
    if owner.limit == FREE {
        pair.ceiling = (pair.next + BLOCK).min(setting.bounds.sequences);
        if counts {
            owner.limit = pair.ceiling;
        }
    }
    if !owner.required.has(other) {
        owner.stored[other] = Stored::default();
    }
    if counts {
        owner.required = owner.required.with(other);
    }
    owner.counted[other] = incarnation;
    owner.strangers = owner.strangers.without(other);
    owner.following = owner.following.with(other);
    let mut copy = pair.clone();
    copy.next = traffic::hint(setting, pair.next);
    let snapshot = Message::Snapshot(owner.claim, copy);
    state.send(node, other, snapshot);
}

/// `to` reads the next message of `from`.
pub fn deliver(setting: &Setting, state: &mut State, from: usize, to: usize) {
    match state.receive(from, to) {
        Some(Message::Acknowledgement {
            claim,
            sa,
            ceiling,
            begun,
        }) => acknowledged(setting, state, (from, to), (claim, sa), (ceiling, begun)),
        Some(Message::Refusal(better)) => ownership::meet(setting, state, to, better),
        Some(Message::Snapshot(claim, pair)) => copy(setting, state, (from, to), claim, pair),
        Some(Message::Ceiling {
            claim,
            sa,
            ceiling,
            next,
        }) => record(setting, state, (from, to), (claim, sa), |pair| {
            pair.ceiling = pair.ceiling.max(ceiling);
            pair.next = pair.next.max(next);
        }),
        Some(Message::Ike {
            claim,
            sa,
            id,
            content,
        }) => record(setting, state, (from, to), (claim, sa), |pair| {
            if pair.begun() == id {
                pair.ike.push(content);
            }
        }),
        None => {}
    }
}

/// A snapshot replaces whatever `to` had.
fn copy(
    setting: &Setting,
    state: &mut State,
    (from, to): (usize, usize),
    claim: Claim,
    pair: Pair,
) {
    if follows(setting, state, (from, to), claim) {
        let node = &mut state.nodes[to];
        node.pair = Some(pair);
        node.synced = claim;
        acknowledge(state, from, to);
    }
}

/// A record changes the copy that it belongs to.
fn record(
    setting: &Setting,
    state: &mut State,
    (from, to): (usize, usize),
    (claim, sa): (Claim, u8),
    change: impl FnOnce(&mut Pair),
) {
    let node = &state.nodes[to];
    let survivor = node.owner.is_some() && claim < node.promise;
    if survivor && !setting.holds(Rule::PromiseAfterTakeover) {
        // It says that it has stored whatever the old owner says.
        let yes = Message::Acknowledgement {
            claim,
            sa,
            ceiling: u8::MAX,
            begun: u8::MAX,
        };
        state.send(to, from, yes);
    } else if follows(setting, state, (from, to), claim) {
        let node = &mut state.nodes[to];
        let synced = node.synced == claim;
        if let Some(pair) = node.pair.as_mut().filter(|pair| synced && pair.sa == sa) {
            change(pair);
            acknowledge(state, from, to);
        }
    }
}

/// Whether `to` follows `claim`; if it knows a better one it says so.
fn follows(setting: &Setting, state: &mut State, (from, to): (usize, usize), claim: Claim) -> bool {
    let promise = state.nodes[to].promise;
    if claim < promise {
        state.send(to, from, Message::Refusal(promise));
        return false;
    }
    ownership::meet(setting, state, to, claim);
    state.nodes[to].promise = claim;
    true
}

/// `to` says what it has stored.
fn acknowledge(state: &mut State, from: usize, to: usize) {
    let node = &state.nodes[to];
    if let Some(pair) = &node.pair {
        let yes = Message::Acknowledgement {
            claim: node.synced,
            sa: pair.sa,
            ceiling: pair.ceiling,
            begun: pair.begun(),
        };
        state.send(to, from, yes);
    }
}

/// `to` hears what `from` has stored.
fn acknowledged(
    setting: &Setting,
    state: &mut State,
    (from, to): (usize, usize),
    (claim, sa): (Claim, u8),
    (ceiling, begun): (u8, u8),
) {
    let witness = setting.witness();
    let Some((owner, pair)) = state.owner_mut(to) else {
        return;
    };
    if owner.claim != claim || pair.sa != sa || !owner.following.has(from) {
        return;
    }
    let stored = &mut owner.stored[from];
    stored.ceiling = stored.ceiling.max(ceiling.min(pair.ceiling));
    stored.begun = stored.begun.max(begun.min(pair.begun()));
    if !owner.required.has(from) && !witness {
        owner.required = owner.required.with(from);
        owner.limit = 0;
    }
    if owner.limit != FREE {
        owner.raise();
    }
}
