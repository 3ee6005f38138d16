//! The steps: for each, when it may be taken and what it changes.

pub mod fault;
pub mod join;
pub mod ownership;
pub mod traffic;
pub mod witness;

use crate::action::Action;
use crate::setting::Setting;
use crate::state::State;
use crate::witness::Wish;

/// Every step that `state` allows, always in the same order.
pub fn all(setting: &Setting, state: &State, actions: &mut Vec<Action>) {
    for node in setting.nodes() {
        alone(setting, state, node, actions);
        for other in setting.nodes().filter(|other| *other != node) {
            between(setting, state, node, other, actions);
        }
    }
}

/// The steps of one node.
fn alone(setting: &Setting, state: &State, node: usize, actions: &mut Vec<Action>) {
    let request = state.requests[node];
    let steps = [
        (traffic::may_send(setting, state, node), Action::Send(node)),
        (
            traffic::may_reserve(setting, state, node),
            Action::Reserve(node),
        ),
        (
            traffic::may_begin(setting, state, node),
            Action::Begin(node),
        ),
        (
            traffic::may_transmit(setting, state, node),
            Action::Transmit(node),
        ),
        (
            ownership::may_take_over(setting, state, node),
            Action::TakeOver(node),
        ),
        (
            ownership::may_replace(setting, state, node),
            Action::Replace(node),
        ),
        (
            request.is_some_and(|r| r.answer.is_none()),
            Action::CarryOut(node),
        ),
        (witness::may_learn(state, node), Action::Learn(node)),
        (witness::may_see(setting, state, node), Action::See(node)),
        (fault::may_crash(setting, state, node), Action::Crash(node)),
        (fault::may_start(state, node), Action::Start(node)),
    ];
    actions.extend(
        steps
            .into_iter()
            .filter(|(may, _)| *may)
            .map(|(_, step)| step),
    );
    let wish = witness::promotion(setting, state, node);
    actions.extend(wish.map(|wish| Action::Ask(node, wish)));
}

/// The steps between two nodes.
fn between(setting: &Setting, state: &State, node: usize, other: usize, actions: &mut Vec<Action>) {
    let claim = state.nodes[node].promise;
    let named = u8::try_from(other).unwrap_or(u8::MAX);
    let shrink = Action::Ask(node, Wish::Shrink(claim, named));
    let add = Action::Ask(node, Wish::Add(claim, named));
    let steps = [
        (state.deliverable(node, other), Action::Deliver(node, other)),
        (
            join::may_sync(setting, state, node, other),
            Action::Sync(node, other),
        ),
        (witness::may_shrink(setting, state, node, other), shrink),
        (witness::may_add(setting, state, node, other), add),
        (
            fault::may_break(setting, state, node, other),
            Action::Break(node, other),
        ),
        (
            fault::may_connect(state, node, other),
            Action::Connect(node, other),
        ),
    ];
    actions.extend(
        steps
            .into_iter()
            .filter(|(may, _)| *may)
            .map(|(_, step)| step),
    );
}

/// The state after a step.
#[must_use]
pub fn apply(setting: &Setting, last: &State, action: Action) -> State {
    let mut state = last.clone();
    let next = &mut state;
    match action {
        Action::Send(node) => traffic::send(setting, next, node),
        Action::Reserve(node) => traffic::reserve(setting, next, node),
        Action::Begin(node) => traffic::begin(next, node),
        Action::Transmit(node) => traffic::transmit(next, node),
        Action::Sync(node, other) => join::sync(setting, next, node, other),
        Action::Deliver(from, to) => join::deliver(setting, next, from, to),
        Action::TakeOver(node) => ownership::take_over(setting, next, node),
        Action::Replace(node) => ownership::replace(next, node),
        Action::Ask(node, wish) => witness::ask(next, node, wish),
        Action::CarryOut(node) => witness::carry_out(setting, next, node),
        Action::Learn(node) => witness::learn(setting, next, node),
        Action::See(node) => witness::see(setting, next, node),
        Action::Crash(node) => fault::crash(next, node),
        Action::Start(node) => fault::start(next, node),
        Action::Break(node, other) => fault::break_off(setting, next, node, other),
        Action::Connect(a, b) => fault::connect(setting, next, a, b),
    }
    state
}
