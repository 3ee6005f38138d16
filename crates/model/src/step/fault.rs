//! Faults and their end: a crash, a start, a connection that is lost or made.

use crate::members::Members;
use crate::node::Node;
use crate::rule::Rule;
use crate::setting::Setting;
use crate::state::State;
use crate::step::ownership;

/// Whether `node` can crash.
#[must_use]
pub fn may_crash(setting: &Setting, state: &State, node: usize) -> bool {
    state.nodes[node].up && state.spent.crashes < setting.bounds.crashes
}

/// `node` loses everything; what it has sent is still under way.
pub fn crash(state: &mut State, node: usize) {
    state.spent.crashes += 1;
    for other in 0..state.nodes.len() {
        state.close(node, other);
    }
    let mut gone = Node::empty(state.nodes[node].incarnation + 1);
    gone.up = false;
    state.nodes[node] = gone;
}

/// Whether an owner loses its connection to `other`.
#[must_use]
pub fn may_break(setting: &Setting, state: &State, node: usize, other: usize) -> bool {
    // That a dead node no longer answers is noticed sooner or later, and is no fault of its own.
    let dead = !state.open[other].has(node);
    state.owner(node).is_some()
        && state.open[node].has(other)
        && (dead || state.spent.breaks < setting.bounds.breaks)
}

/// An owner loses its connection to `other`.
pub fn break_off(setting: &Setting, state: &mut State, node: usize, other: usize) {
    if state.open[other].has(node) {
        state.spent.breaks += 1;
    }
    state.close(node, other);
    if let Some((owner, _)) = state.owner_mut(node) {
        owner.following = owner.following.without(other);
        if owner.required.has(other) && !setting.holds(Rule::ShrinkBeforeAlone) {
            owner.release(other);
        }
    }
    let_go(setting, state, node);
}

/// An owner goes on without those that were about to join and have lost the connection on which
/// they did: they are not in the witness's set, and no request is under way to put them there.
pub fn let_go(setting: &Setting, state: &mut State, node: usize) {
    let asking = state.requests[node].is_some();
    if let Some((owner, _)) = state
        .owner_mut(node)
        .filter(|_| setting.witness() && !asking)
    {
        for other in owner.required.iter() {
            if !owner.in_sync.has(other) && !owner.following.has(other) {
                owner.release(other);
            }
        }
    }
}

/// Whether two nodes connect again. Connections that carry nothing are left out.
#[must_use]
pub fn may_connect(state: &State, a: usize, b: usize) -> bool {
    a < b
        && !state.connected(a, b)
        && state.nodes[a].up
        && state.nodes[b].up
        && (state.owner(a).is_some() || state.owner(b).is_some())
}

/// Two nodes connect: each says its life and the best claim that it knows.
pub fn connect(setting: &Setting, state: &mut State, a: usize, b: usize) {
    state.connect(a, b);
    let promises = (state.nodes[a].promise, state.nodes[b].promise);
    ownership::meet(setting, state, a, promises.1);
    ownership::meet(setting, state, b, promises.0);
    for (node, other) in [(a, b), (b, a)] {
        let incarnation = state.heard[node][other];
        if let Some((owner, _)) = state.owner_mut(node) {
            owner.following = owner.following.without(other);
            if owner.required.has(other) && owner.counted[other] != incarnation {
                owner.strangers = owner.strangers.with(other);
            }
        }
        let_go(setting, state, node);
    }
}

/// Whether `node` starts again.
#[must_use]
pub fn may_start(state: &State, node: usize) -> bool {
    !state.nodes[node].up
}

/// `node` starts again, with nothing.
pub fn start(state: &mut State, node: usize) {
    state.nodes[node].up = true;
    state.open[node] = Members::default();
}
