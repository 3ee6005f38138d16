//! L1, asked of a single state: the faults end, everybody does what is left to do, and then traffic
//! flows and every copy is in sync again.

use crate::action::Action;
use crate::setting::{Bounds, Setting};
use crate::state::State;
use crate::step;
use crate::step::traffic;
use crate::witness::Wish;

/// More steps than any recovery within the bounds takes.
const STEPS: usize = 200;

/// Whether the nodes recover from `state` by themselves.
#[must_use]
pub fn recovers(setting: &Setting, state: &State) -> bool {
    let setting = &unbounded(setting);
    let mut state = state.clone();
    for _ in 0..STEPS {
        if recovered(setting, &state) {
            return true;
        }
        match next(setting, &state) {
            Some(action) => state = step::apply(setting, &state, action),
            None => return false,
        }
    }
    false
}

/// The bounds are there for the search; a recovery must not fail because of them.
fn unbounded(setting: &Setting) -> Setting {
    let bounds = setting.bounds;
    Setting {
        bounds: Bounds {
            sequences: bounds.sequences + 32,
            takeovers: bounds.takeovers + 4,
            pairs: bounds.pairs + 4,
            crashes: 0,
            breaks: 0,
            ..bounds
        },
        ..setting.clone()
    }
}

/// One owner may send; everybody follows it and is in its in-sync set.
fn recovered(setting: &Setting, state: &State) -> bool {
    let mut owners = setting.nodes().filter(|node| state.owner(*node).is_some());
    let (Some(node), None) = (owners.next(), owners.next()) else {
        return false;
    };
    state.owner(node).is_some_and(|(owner, _)| {
        let followed = setting.nodes().filter(|other| *other != node).all(|other| {
            let confirmed = !setting.witness() || state.witness.in_sync.has(other);
            owner.required.has(other) && owner.stored[other].ceiling > 0 && confirmed
        });
        let confirmed = !setting.witness() || state.witness.claim == owner.claim;
        followed && confirmed && traffic::may_send(setting, state, node)
    })
}

/// The step that a healthy cluster takes next.
fn next(setting: &Setting, state: &State) -> Option<Action> {
    let mut steps = Vec::new();
    step::all(setting, state, &mut steps);
    let owned = setting.nodes().any(|node| state.owner(node).is_some());
    let stranger = |node: usize| {
        let owner = state.owner(node);
        owner.is_some_and(|(owner, _)| !owner.strangers.is_empty())
    };
    let useful = steps.into_iter().filter_map(|step| {
        let rank = match step {
            Action::Start(_) => 0,
            Action::Deliver(..) => 1,
            Action::CarryOut(_) | Action::Learn(_) | Action::See(_) => 2,
            Action::Break(..) => 3,
            Action::Connect(..) => 4,
            Action::Replace(node) if stranger(node) => 5,
            Action::Sync(..) => 6,
            Action::Ask(_, Wish::Shrink(..) | Wish::Add(..)) => 7,
            Action::Ask(_, Wish::Promote(_)) if !owned => 8,
            Action::TakeOver(node) if !owned && state.nodes[node].pair.is_some() => 8,
            Action::Ask(_, Wish::Anew(..)) | Action::TakeOver(_) if !owned => 9,
            Action::Reserve(_) => 10,
            _ => return None,
        };
        Some((rank, step))
    });
    useful.min_by_key(|(rank, _)| *rank).map(|(_, step)| step)
}
