//! A new policy: what is under way follows it, and does not come to be as it was begun (RFC 4301
//! section 4.4).

use std::sync::Arc;
use std::time::Instant;

use policy::pad::{Pad, Peer};

use crate::command::Acquire;
use crate::config::ChildRule;
use crate::context::acquire_failed;
use crate::endpoint::acquire::acquire;
use crate::endpoint::handshake::{abandon, failed};
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::error::Error;
use crate::id::{IkeSaId, Role};
use crate::v2::auth_sent::Purpose;

/// Puts another policy into force. SAs stay; what is not one yet is judged again. A half-open
/// responder asks the PAD when the peer says who it is, and so needs no judgement here.
pub(crate) fn reload(tables: &mut Tables, pad: Arc<Pad>, rules: Vec<ChildRule>, now: Instant) {
    tables.set_pad(pad);
    tables.config.rules = rules;
    let under_way = |slot: &Slot| match slot {
        Slot::HalfOpen(_) | Slot::Refused(_) => false,
        Slot::MainMode(state) => state.role == Role::Initiator,
        _ => true,
    };
    let slots = tables.slots().filter(|(_, slot)| under_way(slot));
    let all: Vec<IkeSaId> = slots.map(|(ike, _)| ike).collect();
    for ike in all {
        if let Some(slot) = tables.take(ike) {
            judge(tables, ike, slot, now);
        }
    }
}

fn judge(tables: &mut Tables, ike: IkeSaId, mut slot: Slot, now: Instant) {
    let rules = &tables.config.rules;
    let (withdrawn, goes_on) = match &mut slot {
        Slot::InitSent(state) => {
            let withdrawn = withdraw(&mut state.purpose.pending, rules);
            let wanted = !state.purpose.pending.is_empty();
            (withdrawn, wanted && is_same(tables, &state.purpose.peer))
        }
        Slot::Intermediate(state) => {
            let withdrawn = withdraw(&mut state.purpose_mut().pending, rules);
            let Purpose { peer, pending, .. } = &state.begun().purpose;
            (withdrawn, !pending.is_empty() && is_same(tables, peer))
        }
        // What IKE_AUTH itself asks for is judged when the answer comes: the peer has it by then.
        Slot::AuthSent(state) => {
            let withdrawn = withdraw(&mut state.purpose_mut().pending, rules);
            (withdrawn, is_same(tables, &state.begun().purpose.peer))
        }
        Slot::Sa(sa) => (sa.withdraw(rules), true),
        Slot::MainMode(state) => {
            let withdrawn = withdraw(&mut state.pending, rules);
            let wanted = !state.pending.is_empty() || state.replaces.is_some();
            (withdrawn, wanted && is_same(tables, &state.peer))
        }
        Slot::Isakmp(sa) => (sa.withdraw(rules), true),
        Slot::HalfOpen(_) | Slot::Refused(_) => (Vec::new(), true),
    };
    if goes_on {
        tables.put(ike, slot);
    } else {
        begin_anew(tables, ike, slot, now);
    }
    for acquire in withdrawn {
        acquire_failed(acquire, Error::PolicyChanged, &mut tables.context(now));
    }
}

fn withdraw(pending: &mut Vec<Acquire>, rules: &[ChildRule]) -> Vec<Acquire> {
    let outdated = |one: &mut Acquire| !one.is_wanted(rules);
    pending.extract_if(.., outdated).collect()
}

/// Whether the PAD still has a peer as it was.
fn is_same(tables: &Tables, peer: &Peer) -> bool {
    let now = tables.peers.get(&peer.name);
    now.is_some_and(|now| now.same(peer))
}

/// A handshake cannot go on. What waited for it and is still wanted begins with what the peer is
/// now: a request must not pass in clear text because its key was just put right.
fn begin_anew(tables: &mut Tables, ike: IkeSaId, slot: Slot, now: Instant) {
    let (peer, path) = (slot.peer().cloned(), *slot.path());
    let pending = abandon(tables, ike, slot, now);
    let (local, remote) = (path.local, path.remote);
    let error = Error::PolicyChanged;
    failed(tables, peer, Role::Initiator, local, remote, error, now);
    for wanted in pending {
        if wanted.is_wanted(&tables.config.rules) {
            acquire(tables, wanted, now);
        } else {
            acquire_failed(wanted, Error::PolicyChanged, &mut tables.context(now));
        }
    }
}
