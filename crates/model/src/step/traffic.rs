//! Sending: ESP below the limit, IKE after the commit, and what makes both possible.

use crate::message::Message;
use crate::node::FREE;
use crate::pair::Content;
use crate::rule::Rule;
use crate::setting::{BLOCK, Setting};
use crate::state::State;

/// Whether `node` may send an ESP packet.
#[must_use]
pub fn may_send(setting: &Setting, state: &State, node: usize) -> bool {
    state.owner(node).is_some_and(|(owner, pair)| {
        let reserved = pair.next < owner.limit || !setting.holds(Rule::ReserveBeforeUse);
        reserved && pair.next < setting.bounds.sequences
    })
}

/// `node` sends an ESP packet.
pub fn send(setting: &Setting, state: &mut State, node: usize) {
    if let Some((owner, pair)) = state.owner_mut(node) {
        let (sa, sequence, claim) = (pair.sa, pair.next, owner.claim);
        pair.next += 1;
        let field_in_iv = setting.holds(Rule::EpochInIv);
        state.wire.esp(sa, sequence, claim, field_in_iv);
    }
}

/// Whether `node` asks for a higher ceiling: half of its block is used, it has asked for none, and
/// everybody whose acknowledgement it needs can hear it.
#[must_use]
pub fn may_reserve(setting: &Setting, state: &State, node: usize) -> bool {
    state.owner(node).is_some_and(|(owner, pair)| {
        owner.limit != FREE
            && pair.ceiling == owner.limit
            && pair.next + BLOCK / 2 >= owner.limit
            && pair.ceiling < setting.bounds.sequences
            && heard_by_all(setting, state, node)
    })
}

/// `node` asks for a higher ceiling.
pub fn reserve(setting: &Setting, state: &mut State, node: usize) {
    if let Some((owner, pair)) = state.owner_mut(node) {
        pair.ceiling = (pair.ceiling + BLOCK).min(setting.bounds.sequences);
        if !setting.holds(Rule::CeilingNeedsAcknowledgement) {
            owner.limit = pair.ceiling;
        }
        let record = Message::Ceiling {
            claim: owner.claim,
            sa: pair.sa,
            ceiling: pair.ceiling,
            next: hint(setting, pair.next),
        };
        broadcast(state, node, &record);
    }
}

/// Whether `node` makes an IKE message: the one before has left, and this one can be stored.
#[must_use]
pub fn may_begin(setting: &Setting, state: &State, node: usize) -> bool {
    state.owner(node).is_some_and(|(owner, pair)| {
        pair.begun() == owner.transmitted
            && pair.begun() < setting.bounds.ids
            && (heard_by_all(setting, state, node) || !silent(setting, state, node))
    })
}

/// `node` makes an IKE message and has it stored.
pub fn begin(state: &mut State, node: usize) {
    let incarnation = state.nodes[node].incarnation;
    if let Some((owner, pair)) = state.owner_mut(node) {
        let content = Content {
            claim: owner.claim,
            incarnation,
        };
        let record = Message::Ike {
            claim: owner.claim,
            sa: pair.sa,
            id: pair.begun(),
            content,
        };
        pair.ike.push(content);
        broadcast(state, node, &record);
    }
}

/// Whether `node` lets its next IKE message leave.
#[must_use]
pub fn may_transmit(setting: &Setting, state: &State, node: usize) -> bool {
    state.owner(node).is_some_and(|(owner, pair)| {
        owner.transmitted < pair.begun()
            && (owner.committed(owner.transmitted)
                || !setting.holds(Rule::CommitBeforeTransmit)
                || !silent(setting, state, node))
    })
}

/// `node` lets its next IKE message leave; a survivor's first are those that it finds stored.
pub fn transmit(state: &mut State, node: usize) {
    if let Some((owner, pair)) = state.owner_mut(node) {
        let (sa, id) = (pair.sa, owner.transmitted);
        let content = pair.ike.get(usize::from(id)).copied();
        owner.transmitted += 1;
        if let Some(content) = content {
            state.wire.ike(sa, id, content);
        }
    }
}

/// Whether everybody who is required follows `node` on an open connection, and is who it was.
fn heard_by_all(setting: &Setting, state: &State, node: usize) -> bool {
    state.owner(node).is_some_and(|(owner, _)| {
        owner.required.iter().all(|other| {
            let known = !owner.strangers.has(other) || !setting.holds(Rule::SetNamesIncarnations);
            state.open[node].has(other) && owner.following.has(other) && known
        })
    })
}

/// Whether `node` keeps silent on the replicated IKE SA although nobody is there to store anything.
fn silent(setting: &Setting, state: &State, node: usize) -> bool {
    let alone = setting.nodes().all(|other| !state.open[node].has(other));
    setting.holds(Rule::AloneSilentOnIke) || !alone
}

/// What a copy is told of `next`: nobody asks for it who starts at the ceiling, and the search is
/// smaller without it.
#[must_use]
pub fn hint(setting: &Setting, next: u8) -> u8 {
    let ignored = setting.holds(Rule::StartAtTheCeiling);
    if ignored { 0 } else { next }
}

/// Sends a record to everybody who follows `node`.
fn broadcast(state: &mut State, node: usize, record: &Message) {
    let followers = state.nodes[node].owner.as_ref().map(|o| o.following);
    for other in followers.unwrap_or_default().iter() {
        state.send(node, other, record.clone());
    }
}
